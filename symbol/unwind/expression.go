// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import "encoding/binary"

const (
	maxExpression = 64  // bytes of an expression
	maxOperands   = 16  // on the stack of an expression
	maxOperations = 128 // that an expression runs, which may jump back
)

// memory is the copy of the stack.
type memory struct {
	start uint64
	b     []byte
}

// load reads the 8 bytes at an address.
func (m *memory) load(addr uint64) (uint64, bool) {
	at := addr - m.start
	if addr < m.start || at > uint64(len(m.b)) || uint64(len(m.b))-at < 8 {
		return 0, false
	}
	return binary.NativeEndian.Uint64(m.b[at:]), true
}

// machineState is what an expression can read.
type machineState struct {
	registers *Registers
	memory    *memory
}

// evaluator runs the expressions of DWARF. After an operation that it cannot run it is bad.
type evaluator struct {
	machineState
	code  cursor
	stack [maxOperands]uint64
	depth int
	bad   bool
}

// evaluate runs an expression; those for registers start with the CFA on the stack.
func (e *evaluator) evaluate(state machineState, code []byte) (uint64, bool) {
	e.machineState, e.code, e.depth, e.bad = state, cursor{b: code}, 0, false
	return e.finish()
}

func (e *evaluator) evaluateFrom(state machineState, code []byte, cfa uint64) (uint64, bool) {
	e.machineState, e.code, e.depth, e.bad = state, cursor{b: code}, 0, false
	e.push(cfa)
	return e.finish()
}

func (e *evaluator) finish() (uint64, bool) {
	for n := 0; e.code.left() > 0; n++ {
		if n == maxOperations {
			return 0, false
		}
		e.operate(e.code.u8())
		if e.bad || e.code.bad {
			return 0, false
		}
	}
	v := e.pop()
	return v, !e.bad
}

func (e *evaluator) push(v uint64) {
	if e.depth == maxOperands {
		e.bad = true
		return
	}
	e.stack[e.depth] = v
	e.depth++
}

func (e *evaluator) pop() uint64 {
	if e.depth == 0 {
		e.bad = true
		return 0
	}
	e.depth--
	return e.stack[e.depth]
}

// peek returns the value that is n below the top.
func (e *evaluator) peek(n uint64) uint64 {
	if n >= uint64(e.depth) {
		e.bad = true
		return 0
	}
	return e.stack[e.depth-1-int(n)]
}

func (e *evaluator) register(n uint64, offset int64) {
	v, ok := e.registers.get(n)
	e.bad = e.bad || !ok
	e.push(v + uint64(offset))
}

// The operations of DWARF expressions.
const (
	opDeref      = 0x06
	opConst1u    = 0x08
	opConst1s    = 0x09
	opConst2u    = 0x0a
	opConst2s    = 0x0b
	opConst4u    = 0x0c
	opConst4s    = 0x0d
	opConst8u    = 0x0e
	opConst8s    = 0x0f
	opConstu     = 0x10
	opConsts     = 0x11
	opDup        = 0x12
	opDrop       = 0x13
	opOver       = 0x14
	opPick       = 0x15
	opSwap       = 0x16
	opRot        = 0x17
	opAbs        = 0x19
	opAnd        = 0x1a
	opDiv        = 0x1b
	opMinus      = 0x1c
	opMod        = 0x1d
	opMul        = 0x1e
	opNeg        = 0x1f
	opNot        = 0x20
	opOr         = 0x21
	opPlus       = 0x22
	opPlusConst  = 0x23
	opShl        = 0x24
	opShr        = 0x25
	opShra       = 0x26
	opXor        = 0x27
	opBranch     = 0x28
	opEq         = 0x29
	opGe         = 0x2a
	opGt         = 0x2b
	opLe         = 0x2c
	opLt         = 0x2d
	opNe         = 0x2e
	opSkip       = 0x2f
	opLit0       = 0x30
	opLit31      = 0x4f
	opBreg0      = 0x70
	opBreg31     = 0x8f
	opBregx      = 0x92
	opDerefSize  = 0x94
	opNop        = 0x96
	maxDerefSize = 8
)

func (e *evaluator) operate(op byte) {
	c := &e.code
	switch {
	case op >= opLit0 && op <= opLit31:
		e.push(uint64(op - opLit0))
	case op >= opBreg0 && op <= opBreg31:
		e.register(uint64(op-opBreg0), c.sleb())
	case op == opBregx:
		n := c.uleb()
		e.register(n, c.sleb())
	case op == opDeref:
		e.deref(maxDerefSize)
	case op == opDerefSize:
		e.deref(uint64(c.u8()))
	case op >= opConst1u && op <= opConst8s:
		size := uint64(1) << ((op - opConst1u) / 2)
		if (op-opConst1u)%2 == 0 {
			e.push(c.unsigned(size))
		} else {
			e.push(uint64(c.signed(size)))
		}
	case op == opConstu:
		e.push(c.uleb())
	case op == opConsts:
		e.push(uint64(c.sleb()))
	case op == opSkip:
		e.jump(c.signed(2))
	case op == opBranch:
		if distance := c.signed(2); e.pop() != 0 {
			e.jump(distance)
		}
	case op >= opDup && op <= opRot:
		e.arrange(op)
	case op == opAbs || op == opNeg || op == opNot || op == opPlusConst:
		e.unary(op)
	case op >= opAnd && op <= opNe:
		e.binary(op)
	case op == opNop:
	default:
		e.bad = true
	}
}

func (e *evaluator) deref(size uint64) {
	v, ok := e.memory.load(e.pop())
	if !ok || size == 0 || size > maxDerefSize {
		e.bad = true
	}
	e.push(v & (1<<(8*size) - 1))
}

func (e *evaluator) jump(distance int64) {
	to := int64(e.code.at) + distance
	if to < 0 || to > int64(len(e.code.b)) {
		e.bad = true
		return
	}
	e.code.at = int(to)
}

func (e *evaluator) arrange(op byte) {
	switch op {
	case opDup:
		e.push(e.peek(0))
	case opDrop:
		e.pop()
	case opOver:
		e.push(e.peek(1))
	case opPick:
		e.push(e.peek(uint64(e.code.u8())))
	case opSwap:
		a, b := e.pop(), e.pop()
		e.push(a)
		e.push(b)
	case opRot:
		a, b, c := e.pop(), e.pop(), e.pop()
		e.push(a)
		e.push(c)
		e.push(b)
	default:
		e.bad = true
	}
}

func (e *evaluator) unary(op byte) {
	v := e.pop()
	switch op {
	case opAbs:
		v = uint64(max(int64(v), -int64(v)))
	case opNeg:
		v = -v
	case opNot:
		v = ^v
	case opPlusConst:
		v += e.code.uleb()
	}
	e.push(v)
}

func (e *evaluator) binary(op byte) {
	b, a := e.pop(), e.pop()
	switch op {
	case opAnd:
		a &= b
	case opOr:
		a |= b
	case opXor:
		a ^= b
	case opPlus:
		a += b
	case opMinus:
		a -= b
	case opMul:
		a *= b
	case opDiv, opMod:
		a = e.divide(op, a, b)
	case opShl:
		a <<= b
	case opShr:
		a >>= b
	case opShra:
		a = uint64(int64(a) >> b)
	default:
		a = e.compare(op, int64(a), int64(b))
	}
	e.push(a)
}

// divide divides signed and takes the remainder unsigned, as the standard has it.
func (e *evaluator) divide(op byte, a, b uint64) uint64 {
	if b == 0 {
		e.bad = true
		return 0
	}
	if op == opMod {
		return a % b
	}
	return uint64(int64(a) / int64(b))
}

func (e *evaluator) compare(op byte, a, b int64) uint64 {
	holds := false
	switch op {
	case opEq:
		holds = a == b
	case opNe:
		holds = a != b
	case opGe:
		holds = a >= b
	case opGt:
		holds = a > b
	case opLe:
		holds = a <= b
	case opLt:
		holds = a < b
	default:
		e.bad = true
	}
	if holds {
		return 1
	}
	return 0
}
