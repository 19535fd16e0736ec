// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package idle

import (
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/gizmo-ebpf/gizmo/internal/bpfcode"
)

// Reach returns the instructions of a program that the constants leave reachable, by their indices. It may return more than
// these: it does not follow values through memory.
func (f *Finder) Reach(program string) map[int]bool {
	code := f.spec.Programs[program].Instructions
	r := &reach{
		walk:  walk{code: code, index: bpfcode.Places(code), constants: f.constants, read: make(map[string]bool)},
		known: make(map[int]state), functions: make(map[string]int), reached: make(map[int]bool),
	}
	for it := code.Iterate(); it.Next(); {
		if name := it.Ins.Symbol(); name != "" {
			r.functions[name] = int(it.Offset)
		}
	}
	r.enter(0)
	r.run()
	return r.reached
}

// reach follows a program on all paths at once: what it knows at a place holds on every path to it.
type reach struct {
	walk
	known     map[int]state // by place
	functions map[string]int
	reached   map[int]bool
}

// enter begins a function, of whose arguments nothing is known.
func (r *reach) enter(place int) {
	s := state{place: place}
	s.regs[asm.RFP] = value{kind: stack}
	r.open = append(r.open, s)
}

func (r *reach) run() {
	for len(r.open) > 0 {
		s := r.open[len(r.open)-1]
		r.open = r.open[:len(r.open)-1]
		for r.merge(&s) {
			ins := r.at(s.place)
			if ins == nil {
				break
			}
			r.reached[r.index[s.place]] = true
			if bpfcode.IsExit(ins) {
				break
			}
			r.follow(&s, ins)
		}
	}
}

// merge reduces what is known in s to what also holds on the paths that came to its place before. It reports whether that is news
// there.
func (r *reach) merge(s *state) bool {
	before, visited := r.known[s.place]
	if !visited {
		r.known[s.place] = *s
		return true
	}
	news := false
	for i := range before.regs {
		if before.regs[i] != s.regs[i] && before.regs[i] != (value{}) {
			before.regs[i], news = value{}, true
		}
	}
	r.known[s.place], *s = before, before
	return news
}

// follow goes on to the next instruction. Unlike step it passes those that have an effect.
func (r *reach) follow(s *state, ins *asm.Instruction) {
	if to, ok := r.functions[ins.Reference()]; ok && ins.IsFunctionReference() {
		r.enter(to)
	}
	class := ins.OpCode.Class()
	next := s.place + int(ins.Size()/asm.InstructionSize)
	switch {
	case class.IsJump() && ins.OpCode.JumpOp() == asm.Call:
		for reg := asm.R0; reg <= asm.R5; reg++ {
			s.regs[reg] = value{}
		}
	case class == asm.StXClass && ins.OpCode.Mode() != asm.MemMode: // atomic operations may return a value
		s.regs[ins.Src], s.regs[asm.R0] = value{}, value{}
	case class == asm.StClass || class == asm.StXClass:
	case class.IsALU() && btf.CORERelocationMetadata(ins) == nil, class.IsLoad(), class.IsJump():
		if r.step(s, ins) {
			return
		}
		s.regs[ins.Dst] = value{}
	default:
		s.regs[ins.Dst] = value{}
	}
	s.place = next
}
