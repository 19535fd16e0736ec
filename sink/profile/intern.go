// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"encoding/binary"
	"strconv"

	"github.com/gizmo-ebpf/gizmo/internal/plain"
	"github.com/gizmo-ebpf/gizmo/symbol"
)

// intern keeps each module, function, frame and stack once.
type intern struct {
	memory    *budget
	modules   map[symbol.Module]*symbol.Module
	functions map[symbol.Function]*symbol.Function
	frames    map[frameKey]numberedFrame
	stacks    map[string]*stack // by the numbers of its frames
	// calls are the frames of locations, because stacks share locations, and reading the names of one takes long. They hold on to
	// locations, so they are only for the reading of stacks that are there at the same time.
	calls map[call]numberedFrame
}

// frameKey is what makes two frames the same.
type frameKey struct {
	module   *symbol.Module
	address  uint64
	function *symbol.Function
}

// call is a location in a stack.
type call struct {
	*symbol.Location
	isCaller bool
}

type numberedFrame struct {
	*Frame
	number uint32
}

type stack struct{ frames []*Frame }

func newIntern(memory *budget) intern {
	return intern{
		memory:    memory,
		modules:   make(map[symbol.Module]*symbol.Module),
		functions: make(map[symbol.Function]*symbol.Function),
		frames:    make(map[frameKey]numberedFrame),
		stacks:    make(map[string]*stack),
	}
}

// What an entry takes, in bytes, beside the texts: TestMemory.
const (
	stackCost  = 112
	inStack    = 8 + 4
	frameCost  = 128
	nameCost   = 144
	moduleCost = 240
)

// stack returns the frames of stacks that lie on each other, the innermost first; nil if there is no memory for them.
func (in *intern) stack(parts []*symbol.Stack) *stack {
	var b stackBuilder
	for _, part := range parts {
		for i, l := range part.Locations {
			f, ok := in.call(call{l, i > 0})
			if !ok {
				return nil
			}
			b.push(f)
		}
		if part.Truncated && !b.pushSpecial(in, Truncated) {
			return nil
		}
	}
	if len(b.frames) == 0 && !b.pushSpecial(in, NoStack) {
		return nil
	}
	if known, ok := in.stacks[string(b.key)]; ok {
		return known
	}
	if !in.memory.take(stackCost + inStack*len(b.frames)) {
		return nil
	}
	s := &stack{b.frames}
	in.stacks[string(b.key)] = s
	return s
}

// stackBuilder is the frames of a stack, and their numbers.
type stackBuilder struct {
	frames []*Frame
	key    []byte
}

func (b *stackBuilder) push(f numberedFrame) {
	b.frames = append(b.frames, f.Frame)
	b.key = binary.LittleEndian.AppendUint32(b.key, f.number)
}

// pushSpecial adds a frame that is no code. It returns false if there is no memory for it.
func (b *stackBuilder) pushSpecial(in *intern, name string) bool {
	f, ok := in.frame(frameKey{function: &symbol.Function{Name: name, System: name}})
	if ok {
		b.push(f)
	}
	return ok
}

// call returns the frame of a location in a stack; false if there is no memory for it.
func (in *intern) call(c call) (numberedFrame, bool) {
	if known, ok := in.calls[c]; ok {
		return known, true
	}
	known, ok := in.frame(frameKey{c.Module, c.CodeAddress(c.isCaller), c.Function})
	if ok {
		in.calls[c] = known
	}
	return known, ok
}

// frame returns the frame with these contents; false if there is no memory for it.
func (in *intern) frame(f frameKey) (numberedFrame, bool) {
	var ok bool
	if f.module, ok = in.module(f.module); !ok {
		return numberedFrame{}, false
	}
	if f.function, ok = in.function(f.function); !ok {
		return numberedFrame{}, false
	}
	if known, ok := in.frames[f]; ok {
		return known, true
	}
	if !in.memory.take(frameCost) {
		return numberedFrame{}, false
	}
	known := numberedFrame{&Frame{Module: f.module, Address: f.address, Function: f.function}, uint32(len(in.frames))}
	in.frames[f] = known
	return known, true
}

func (in *intern) module(m *symbol.Module) (*symbol.Module, bool) {
	if m == nil {
		return nil, true
	}
	own := *m
	own.Name, own.BuildID = valid(own.Name), valid(own.BuildID)
	if known := in.modules[own]; known != nil {
		return known, true
	}
	if !in.memory.take(moduleCost + len(own.Name) + len(own.BuildID)) {
		return nil, false
	}
	in.modules[own] = &own
	return &own, true
}

func (in *intern) function(f *symbol.Function) (*symbol.Function, bool) {
	if f == nil {
		return nil, true
	}
	own := symbol.Function{Name: valid(f.Name), System: valid(f.System)}
	if known := in.functions[own]; known != nil {
		return known, true
	}
	if !in.memory.take(nameCost + len(own.Name) + len(own.System)) {
		return nil, false
	}
	in.functions[own] = &own
	return &own, true
}

// valid makes foreign text UTF-8, which all formats of profiles require, and harmless for the terminals of those who show them.
func valid(text string) string { return plain.Text(text) }

// newLabel makes a label from its text.
func newLabel(l *labelField, text string) Label {
	if l.number {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return Label{Key: l.key, IsNumber: true, Number: n, Unit: l.unit}
		}
	}
	return Label{Key: l.key, Text: text}
}
