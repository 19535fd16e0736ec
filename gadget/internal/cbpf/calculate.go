// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cbpf

import (
	"errors"
	"math"

	"github.com/cilium/ebpf/asm"
	"golang.org/x/net/bpf"
)

func register(r bpf.Register) asm.Register {
	if r == bpf.RegX {
		return regX
	}
	return regA
}

func boolean(b bool) int32 {
	if b {
		return 1
	}
	return 0
}

// jumpTo is a jump whose distance is not known yet, with a comparison of 64 bits, of which the upper ones are 0. The
// comparisons of 32 bits are newer than Linux 5.0.
func jumpTo(op asm.JumpOp, dst asm.Register, with int32) asm.Instruction {
	return asm.Instruction{OpCode: op.Op(asm.ImmSource), Dst: dst, Constant: int64(with)}
}

func compareReg(op asm.JumpOp, dst, src asm.Register) asm.Instruction {
	return asm.Instruction{OpCode: op.Op(asm.RegSource), Dst: dst, Src: src}
}

func aluOp(op bpf.ALUOp) (asm.ALUOp, bool) {
	all := map[bpf.ALUOp]asm.ALUOp{
		bpf.ALUOpAdd: asm.Add, bpf.ALUOpSub: asm.Sub, bpf.ALUOpMul: asm.Mul, bpf.ALUOpDiv: asm.Div, bpf.ALUOpMod: asm.Mod,
		bpf.ALUOpOr: asm.Or, bpf.ALUOpAnd: asm.And, bpf.ALUOpXor: asm.Xor,
		bpf.ALUOpShiftLeft: asm.LSh, bpf.ALUOpShiftRight: asm.RSh,
	}
	to, ok := all[op]
	return to, ok
}

// calculate changes A by a constant.
func (t *translator) calculate(op bpf.ALUOp, with uint32) error {
	to, ok := aluOp(op)
	if !ok {
		return errors.New("unknown calculation")
	}
	switch op {
	case bpf.ALUOpDiv, bpf.ALUOpMod:
		if with == 0 {
			return errors.New("division by zero")
		}
	case bpf.ALUOpShiftLeft, bpf.ALUOpShiftRight:
		if with > 31 { // eBPF would shift by the rest of the division by 32
			t.emit(asm.Mov.Imm(regA, 0))
			return nil
		}
	}
	t.emit(to.Imm32(regA, int32(with)))
	return nil
}

// calculateX changes A by X.
func (t *translator) calculateX(op bpf.ALUOp) {
	to, _ := aluOp(op)
	switch op {
	case bpf.ALUOpDiv, bpf.ALUOpMod:
		t.emitReject(jumpTo(asm.JEq, regX, 0))
	case bpf.ALUOpShiftLeft, bpf.ALUOpShiftRight:
		small := t.later(jumpTo(asm.JLT, regX, 32))
		t.emit(asm.Mov.Imm(regA, 0))
		done := t.later(jumpTo(asm.Ja, 0, 0))
		t.land(small)
		t.emit(to.Reg32(regA, regX))
		t.land(done)
		return
	}
	t.emit(to.Reg32(regA, regX))
}

// jumpIf compares A with a constant.
func (t *translator) jumpIf(i int, ins bpf.JumpIf) {
	with := func(op asm.JumpOp) asm.Instruction { return jumpTo(op, regA, int32(ins.Val)) }
	if ins.Val > math.MaxInt32 { // a constant would be extended to 64 bits with its sign
		t.emit(asm.Mov.Imm32(asm.R1, int32(ins.Val)))
		with = func(op asm.JumpOp) asm.Instruction { return compareReg(op, regA, asm.R1) }
	}
	t.branch(i, ins.Cond, with, ins.SkipTrue, ins.SkipFalse)
}

// jumpIfX compares A with X.
func jumpIfX(op asm.JumpOp) asm.Instruction { return compareReg(op, regA, regX) }

// branch jumps to one of two instructions of the program. Either may be the next one.
func (t *translator) branch(i int, cond bpf.JumpTest, jump func(asm.JumpOp) asm.Instruction, yes, no uint8) {
	op, opposite := opsOf(cond)
	switch {
	case yes == no:
	case yes == 0 && opposite != 0:
		t.emitJump(i+1+int(no), jump(opposite))
		return
	default:
		if op == 0 { // only the opposite is an instruction
			op, yes, no = opposite, no, yes
		}
		if yes != 0 {
			t.emitJump(i+1+int(yes), jump(op))
		} else {
			past := t.later(jump(op))
			t.emitJump(i+1+int(no), jumpTo(asm.Ja, 0, 0))
			t.land(past)
			return
		}
	}
	if no != 0 {
		t.emitJump(i+1+int(no), jumpTo(asm.Ja, 0, 0))
	}
}

// opsOf returns the operation of a condition and the opposite one; 0 if there is none.
func opsOf(cond bpf.JumpTest) (op, opposite asm.JumpOp) {
	switch cond {
	case bpf.JumpEqual:
		return asm.JEq, asm.JNE
	case bpf.JumpNotEqual:
		return asm.JNE, asm.JEq
	case bpf.JumpGreaterThan:
		return asm.JGT, asm.JLE
	case bpf.JumpLessThan:
		return asm.JLT, asm.JGE
	case bpf.JumpGreaterOrEqual:
		return asm.JGE, asm.JLT
	case bpf.JumpLessOrEqual:
		return asm.JLE, asm.JGT
	case bpf.JumpBitsSet:
		return asm.JSet, 0
	}
	return 0, asm.JSet
}
