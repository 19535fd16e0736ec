// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package stackdict

import (
	"encoding/binary"

	"github.com/gizmo-ebpf/gizmo/symbol"
)

// Encoder gathers stacks for the next frame. It numbers modules, functions and locations, so that the recording has each once. The
// zero value is empty.
type Encoder struct {
	modules   numbers[*symbol.Module]
	functions numbers[*symbol.Function]
	locations numbers[*symbol.Location]
	stacks    []byte
	n         int      // stacks
	full      [][]byte // payloads that are large enough
}

// enough is the size of a payload after which another one begins. A reader takes up to 2 MiB.
const enough = 512 << 10

// numbers gives each thing a number from 1, and holds the descriptions of those that are new.
type numbers[T comparable] struct {
	known   map[T]uint64
	pending []byte
	n       int
}

func (m *numbers[T]) has(thing T) bool {
	_, ok := m.known[thing]
	return ok
}

// of returns the number of a thing. describe appends the description of one that is new.
func (m *numbers[T]) of(thing T, describe func(dst []byte) []byte) uint64 {
	if number, ok := m.known[thing]; ok {
		return number
	}
	if m.known == nil {
		m.known = make(map[T]uint64)
	}
	m.pending = describe(m.pending)
	m.n++
	number := uint64(len(m.known)) + 1
	m.known[thing] = number
	return number
}

func (m *numbers[T]) take(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(m.n))
	dst = append(dst, m.pending...)
	m.n, m.pending = 0, m.pending[:0]
	return dst
}

func (m *numbers[T]) restart() {
	clear(m.known)
	m.n, m.pending = 0, nil
}

// Place is the handle that a stack belongs to.
type Place struct {
	Source, Column int    // as a recording numbers them
	Handle         uint32 // of the recording
}

// Cost returns how much a stack would count, with all that is new about it; at most that, if something new is in it twice.
func (e *Encoder) Cost(s *symbol.Stack) int {
	cost := costOfStack + costOfAddress*len(s.Addresses)
	for _, l := range s.Locations {
		if e.locations.has(l) {
			continue
		}
		cost += costOfLocation
		if m := l.Module; m != nil && !e.modules.has(m) {
			cost += costOfModule + len(m.Name) + len(m.BuildID)
		}
		if f := l.Function; f != nil && !e.functions.has(f) {
			cost += costOfFunction + len(f.Name) + len(f.System)
		}
	}
	return cost
}

// Add adds the stack of a handle.
func (e *Encoder) Add(at Place, s *symbol.Stack) {
	for _, l := range s.Locations {
		e.location(l)
	}
	e.n++
	e.stacks = binary.AppendUvarint(e.stacks, uint64(at.Source))
	e.stacks = binary.AppendUvarint(e.stacks, uint64(at.Column))
	e.stacks = binary.AppendUvarint(e.stacks, uint64(at.Handle))
	n := min(len(s.Addresses), len(s.Locations), MaxAddresses)
	head := uint64(n) << 1
	if s.Truncated || n < len(s.Addresses) {
		head |= 1
	}
	e.stacks = binary.AppendUvarint(e.stacks, head)
	for i := range n {
		e.stacks = binary.AppendUvarint(e.stacks, e.location(s.Locations[i]))
		e.stacks = binary.LittleEndian.AppendUint64(e.stacks, s.Addresses[i])
	}
	if len(e.modules.pending)+len(e.functions.pending)+len(e.locations.pending)+len(e.stacks) > enough {
		e.full = append(e.full, e.take())
	}
}

func (e *Encoder) location(l *symbol.Location) uint64 {
	return e.locations.of(l, func(dst []byte) []byte {
		module, function := uint64(0), uint64(0)
		if m := l.Module; m != nil {
			module = e.modules.of(m, func(dst []byte) []byte { return appendModule(dst, m) })
		}
		if f := l.Function; f != nil {
			function = e.functions.of(f, func(dst []byte) []byte { return appendFunction(dst, f) })
		}
		dst = binary.AppendUvarint(dst, module)
		dst = binary.AppendUvarint(dst, function)
		return binary.AppendUvarint(dst, l.Address)
	})
}

func appendModule(dst []byte, m *symbol.Module) []byte {
	flags := byte(0)
	if m.Kernel {
		flags |= isKernel
	}
	dst = append(dst, flags)
	dst = appendText(dst, m.Name)
	dst = appendText(dst, m.BuildID)
	dst = binary.AppendUvarint(dst, m.Start)
	dst = binary.AppendUvarint(dst, m.Limit)
	return binary.AppendUvarint(dst, m.Offset)
}

// appendFunction appends an empty text in place of a name in the symbol table that is the same.
func appendFunction(dst []byte, f *symbol.Function) []byte {
	dst = appendText(dst, f.Name)
	if f.System == f.Name {
		return appendText(dst, "")
	}
	return appendText(dst, f.System)
}

func appendText(dst []byte, text string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(text))), text...)
}

// Take returns the payloads of frames with the stacks that were added since the last call.
func (e *Encoder) Take() (payloads [][]byte) {
	if e.n > 0 {
		e.full = append(e.full, e.take())
	}
	payloads, e.full = e.full, nil
	return payloads
}

func (e *Encoder) take() (payload []byte) {
	payload = e.modules.take(payload)
	payload = e.functions.take(payload)
	payload = e.locations.take(payload)
	payload = binary.AppendUvarint(payload, uint64(e.n))
	payload = append(payload, e.stacks...)
	e.n, e.stacks = 0, e.stacks[:0]
	return payload
}

// Restart forgets everything, what was added since the last call of Take, too.
func (e *Encoder) Restart() {
	e.modules.restart()
	e.functions.restart()
	e.locations.restart()
	e.n, e.stacks, e.full = 0, nil, nil
}
