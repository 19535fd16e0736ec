// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package stacks

import (
	"github.com/cilium/ebpf/asm"

	"github.com/gizmo-ebpf/gizmo/internal/bpfcode"
)

// assembler puts a function together. The library has labels, too, but they are symbols, and a symbol begins a function here.
type assembler struct {
	code    asm.Instructions
	jumps   map[int]string // the labels that instructions jump to
	labels  map[string]int
	comment string // for the next instruction
}

func newAssembler() *assembler {
	return &assembler{jumps: make(map[int]string), labels: make(map[string]int)}
}

// note says what the next instructions do. It is shown in the verifier's log.
func (a *assembler) note(comment string) { a.comment = comment }

func (a *assembler) emit(code ...asm.Instruction) {
	for _, ins := range code {
		if a.comment != "" {
			ins = ins.WithSource(asm.Comment(a.comment))
			a.comment = ""
		}
		a.code = append(a.code, ins)
	}
}

func (a *assembler) label(name string) { a.labels[name] = len(a.code) }

func (a *assembler) jump(label string) {
	a.jumps[len(a.code)] = label
	a.emit(asm.Instruction{OpCode: asm.Ja.Op(asm.ImmSource)})
}

func (a *assembler) jumpIf(op asm.JumpOp, reg asm.Register, n int32, label string) {
	a.jumps[len(a.code)] = label
	a.emit(asm.Instruction{OpCode: op.Op(asm.ImmSource), Dst: reg, Constant: int64(n)})
}

func (a *assembler) jumpIfReg(op asm.JumpOp, reg, with asm.Register, label string) {
	a.jumps[len(a.code)] = label
	a.emit(asm.Instruction{OpCode: op.Op(asm.RegSource), Dst: reg, Src: with})
}

// function returns the code as a function of that name.
func (a *assembler) function(name string) asm.Instructions {
	place := make([]int, len(a.code)) // of each instruction
	for at, i := range bpfcode.Places(a.code) {
		if i >= 0 {
			place[i] = at
		}
	}
	for i, label := range a.jumps {
		a.code[i].Offset = int16(place[a.labels[label]] - place[i] - 1)
	}
	a.code[0] = a.code[0].WithSymbol(name)
	return a.code
}

// atomic returns an operation on the memory that dst is the address of. The library, as of v0.22, writes the operation of an instruction
// only if it is in the constant, too; without that it would be an addition.
func atomic(op asm.AtomicOp, dst, src asm.Register, size asm.Size) asm.Instruction {
	ins := op.Mem(dst, src, size, 0)
	ins.Constant = int64(op >> 8)
	return ins
}
