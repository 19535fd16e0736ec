// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package idle

import "github.com/cilium/ebpf/asm"

// calculate returns the result of an instruction, if it is one that compilers use to test constants.
func calculate(ins *asm.Instruction, dst, src value) value {
	op := ins.OpCode.ALUOp()
	wide := ins.OpCode.Class() == asm.ALU64Class
	switch {
	case op == asm.Mov && ins.Offset == 0: // with an offset it is a sign extension
		if src.kind == number && !wide {
			src.n = uint64(uint32(src.n))
		}
		if src.kind != number && !wide {
			return value{}
		}
		return src
	case dst.kind == data && src.kind == number && op == asm.Add && wide:
		dst.n += src.n
		return dst
	case dst.kind == stack && op == asm.Add && wide:
		return dst // the verifier checks that it stays in the stack
	case dst.kind != number || src.kind != number || ins.Offset != 0:
		return value{}
	}
	n, ok := arithmetic(op, dst.n, src.n, wide)
	if !ok {
		return value{}
	}
	return value{kind: number, n: n}
}

// arithmetic calculates with 64 bits, or 32.
func arithmetic(op asm.ALUOp, a, b uint64, wide bool) (uint64, bool) {
	bits := uint64(63)
	if !wide {
		bits, a, b = 31, uint64(uint32(a)), uint64(uint32(b))
	}
	n := a
	switch op {
	case asm.Add:
		n += b
	case asm.Sub:
		n -= b
	case asm.And:
		n &= b
	case asm.Or:
		n |= b
	case asm.Xor:
		n ^= b
	case asm.LSh:
		n <<= b & bits
	case asm.RSh:
		n >>= b & bits
	case asm.ArSh:
		if n = uint64(int64(a) >> (b & bits)); !wide {
			n = uint64(int32(uint32(a)) >> (b & bits))
		}
	default:
		return 0, false
	}
	if !wide {
		n = uint64(uint32(n))
	}
	return n, true
}

// compare reports whether a conditional jump is taken, if that is known.
func compare(ins *asm.Instruction, dst, src value) (taken, known bool) {
	if dst.kind != number || src.kind != number {
		return false, false
	}
	a, b := dst.n, src.n
	if ins.OpCode.Class() == asm.Jump32Class {
		// Numbers of 32 bits compare like those of 64 if both are extended in the same way.
		a, b = uint64(int64(int32(uint32(a)))), uint64(int64(int32(uint32(b))))
	}
	switch ins.OpCode.JumpOp() {
	case asm.JEq:
		return a == b, true
	case asm.JNE:
		return a != b, true
	case asm.JSet:
		return a&b != 0, true
	case asm.JGT:
		return a > b, true
	case asm.JGE:
		return a >= b, true
	case asm.JLT:
		return a < b, true
	case asm.JLE:
		return a <= b, true
	case asm.JSGT:
		return int64(a) > int64(b), true
	case asm.JSGE:
		return int64(a) >= int64(b), true
	case asm.JSLT:
		return int64(a) < int64(b), true
	case asm.JSLE:
		return int64(a) <= int64(b), true
	}
	return false, false
}
