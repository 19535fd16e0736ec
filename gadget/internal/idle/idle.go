// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package idle finds, before anything is loaded, the programs that do nothing with the values of their constants, because a
// param has switched them off, for example.
package idle

import (
	"encoding/binary"
	"maps"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/gizmo-ebpf/gizmo/internal/bpfcode"
)

// Answer is what an idle program returns.
type Answer uint8

// The answers of a program.
const (
	Busy Answer = iota // the program does something, or is too long to know
	Zero               // it does nothing, and always returns 0
	Any                // it does nothing, and may return something else
)

// maxSteps limits how many instructions a Finder follows. Programs that are switched off end after some ten.
const maxSteps = 1024

// Finder examines the programs of an object.
type Finder struct {
	spec      *ebpf.CollectionSpec
	constants map[string][]constant // by section
}

// constant is a global whose value is known.
type constant struct {
	name string
	off  uint32
	data []byte
}

// New returns a Finder for the programs of spec, whose constants have their values. It ignores constants for which excluded
// returns true: they may still get other values.
func New(spec *ebpf.CollectionSpec, excluded func(variable string) bool) *Finder {
	f := &Finder{spec: spec, constants: make(map[string][]constant)}
	for name, v := range spec.Variables {
		if v.Constant() && !excluded(name) && strings.HasPrefix(v.SectionName, ".rodata") { // only the kernel knows others
			f.constants[v.SectionName] = append(f.constants[v.SectionName], constant{name, v.Offset, v.Value})
		}
	}
	return f
}

// Find follows a program on all paths that the constants leave open, and returns its answer if it neither calls
// a function nor stores anything outside its stack. The second result names the constants that decide this.
func (f *Finder) Find(program string) (Answer, []string) {
	code := f.spec.Programs[program].Instructions
	w := &walk{code: code, index: bpfcode.Places(code), constants: f.constants, read: make(map[string]bool)}
	start := state{}
	start.regs[asm.RFP] = value{kind: stack}
	w.open = []state{start}
	answer := w.run()
	if answer == Busy {
		return Busy, nil
	}
	return answer, slices.Sorted(maps.Keys(w.read))
}

// state is a place of the walk, with the values of the registers there.
type state struct {
	place int       // as jumps count
	regs  [16]value // an instruction has four bits for each
}

// value is what is known about a register.
type value struct {
	kind    kind
	n       uint64 // a number, or an offset in the section
	section string
}

type kind uint8

const (
	unknown kind = iota
	number
	data  // points into a section of constants
	stack // points into the program's own stack
)

// walk follows a program.
type walk struct {
	code      asm.Instructions
	index     []int
	constants map[string][]constant
	read      map[string]bool
	open      []state // the paths that it has not followed yet
}

// run follows all paths.
func (w *walk) run() Answer {
	answer := Zero
	for steps := 0; len(w.open) > 0; {
		s := w.open[len(w.open)-1]
		w.open = w.open[:len(w.open)-1]
		for going := true; going; steps++ {
			ins := w.at(s.place)
			if ins == nil || steps >= maxSteps {
				return Busy
			}
			if bpfcode.IsExit(ins) {
				if r := s.regs[asm.R0]; r.kind != number || uint32(r.n) != 0 {
					answer = Any
				}
				break
			}
			if going = w.step(&s, ins); !going {
				return Busy
			}
		}
	}
	return answer
}

// at returns the instruction that begins at a place; nil if there is none.
func (w *walk) at(place int) *asm.Instruction {
	if place < 0 || place >= len(w.index) || w.index[place] < 0 {
		return nil
	}
	return &w.code[w.index[place]]
}

// step follows one instruction; false if the instruction has an effect.
func (w *walk) step(s *state, ins *asm.Instruction) bool {
	next := s.place + int(ins.Size()/asm.InstructionSize)
	switch class := ins.OpCode.Class(); {
	case (class.IsALU() || class.IsLoad()) && btf.CORERelocationMetadata(ins) != nil:
		s.regs[ins.Dst] = value{} // it depends on the kernel's types
	case ins.OpCode.IsDWordLoad():
		s.regs[ins.Dst] = loaded(ins)
	case class == asm.LdXClass:
		s.regs[ins.Dst] = w.load(s.regs[ins.Src], ins)
	case class == asm.StClass || class == asm.StXClass:
		if s.regs[ins.Dst].kind != stack || ins.OpCode.Mode() != asm.MemMode {
			return false
		}
	case class.IsALU():
		s.regs[ins.Dst] = calculate(ins, s.regs[ins.Dst], operand(ins, s))
	case class.IsJump():
		return w.jump(s, ins, next)
	default:
		return false
	}
	s.place = next
	return true
}

// loaded returns the value of an instruction that loads 64 bits: the address of a constant, or something that is known only when the
// program is loaded.
func loaded(ins *asm.Instruction) value {
	if ins.Src != asm.PseudoMapValue {
		return value{}
	}
	return value{kind: data, n: uint64(ins.Constant) >> 32, section: ins.Reference()}
}

// load reads a constant, if the address is that of a constant.
func (w *walk) load(from value, ins *asm.Instruction) value {
	if from.kind != data {
		return value{}
	}
	size := uint64(ins.OpCode.Size().Sizeof())
	at := from.n + uint64(int64(ins.Offset))
	for _, c := range w.constants[from.section] {
		if at < uint64(c.off) || at+size > uint64(c.off)+uint64(len(c.data)) {
			continue
		}
		w.read[c.name] = true
		var bytes [8]byte
		copy(bytes[:size], c.data[at-uint64(c.off):])
		n := binary.LittleEndian.Uint64(bytes[:])
		if ins.OpCode.Mode() == asm.MemSXMode {
			shift := 64 - 8*size
			n = uint64(int64(n<<shift) >> shift)
		}
		return value{kind: number, n: n}
	}
	return value{}
}

// operand returns the right side of a calculation or comparison.
func operand(ins *asm.Instruction, s *state) value {
	if ins.OpCode.Source() == asm.RegSource {
		return s.regs[ins.Src]
	}
	return value{kind: number, n: uint64(ins.Constant)}
}

// jump continues at the target of a jump: at both places, if the condition is not known.
func (w *walk) jump(s *state, ins *asm.Instruction, next int) bool {
	to := next + bpfcode.Distance(ins)
	switch ins.OpCode.JumpOp() {
	case asm.Call, asm.Exit, asm.JCOND:
		return false
	case asm.Ja:
		s.place = to
		return true
	}
	taken, known := compare(ins, s.regs[ins.Dst], operand(ins, s))
	switch {
	case !known:
		other := *s
		other.place = to
		w.open = append(w.open, other)
		s.place = next
	case taken:
		s.place = to
	default:
		s.place = next
	}
	return true
}
