// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// maxIdleSize is the size in bytes up to which a program is looked at closely: a return takes 16,
// and a few instructions that fetch a param remain before it.
const maxIdleSize = 16 * asm.InstructionSize

// isIdle reports whether a loaded program does nothing: the verifier has removed the code that its
// params disable, and the rest neither calls nor stores. Such a program is not attached, so
// that a disabled feature costs the host nothing. If the kernel does not return the instructions, isIdle
// returns false.
func isIdle(prog *ebpf.Program) bool {
	instructions := shortProgram(prog)
	for _, ins := range instructions {
		switch class := ins.OpCode.Class(); {
		case (class == asm.StClass || class == asm.StXClass) && ins.Dst != asm.RFP:
			return false // nothing else sees the program's own stack
		case class.IsJump() && ins.OpCode.JumpOp() == asm.Call:
			return false
		}
	}
	return len(instructions) > 0
}

// agrees is isIdle for programs whose result is an answer: they do nothing if it is always 0, which
// is no objection.
func agrees(prog *ebpf.Program) bool {
	for _, ins := range shortProgram(prog) {
		class := ins.OpCode.Class()
		if ins.Dst == asm.R0 && (class.IsALU() || class.IsLoad()) && !isZero(ins) {
			return false
		}
	}
	return isIdle(prog)
}

// isZero reports whether the instruction sets its register to 0.
func isZero(ins asm.Instruction) bool {
	return ins.OpCode.ALUOp() == asm.Mov && ins.OpCode.Source() == asm.ImmSource && ins.Constant == 0
}

// shortProgram returns the instructions of a loaded program; none if it has many, or if the kernel does
// not return them.
func shortProgram(prog *ebpf.Program) asm.Instructions {
	info, err := prog.Info()
	if err != nil {
		return nil
	}
	size, err := info.TranslatedSize()
	if err != nil || size > maxIdleSize {
		return nil
	}
	instructions, err := info.Instructions()
	if err != nil {
		return nil
	}
	return instructions
}
