// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import "math"

// rule says how to find the caller's value of one register, or the canonical frame address (CFA).
type rule struct {
	kind ruleKind
	// reg is the register that the value is in, or counts from. While instructions run, expressions have a 1 here if they are in
	// the FDE, 0 if in the CIE.
	reg uint8
	// size is the length of an expression.
	size uint8
	// value is what to add; of an expression the place where it starts.
	value int32
}

type ruleKind uint8

const (
	ruleDefault    ruleKind = iota // kept or unknown, as [keptRegisters] says
	ruleSame                       // the function did not change it
	ruleUndefined                  // there is none
	ruleSaved                      // in memory, value bytes from the CFA
	ruleOffset                     // value bytes from the CFA itself; of the CFA: from register reg
	ruleRegister                   // in register reg
	ruleSavedAt                    // in memory, where the expression says
	ruleExpression                 // the value of the expression
)

// rules are those for one address.
type rules struct {
	cfa  rule
	regs [registerCount]rule
	set  uint32 // a bit for each register that has a rule
}

func (r *rules) put(reg uint64, to rule) {
	// What the package does not follow, such as vector registers, is none of its business.
	if reg >= registerCount {
		return
	}
	r.regs[reg] = to
	r.set |= 1 << reg
	if to.kind == ruleDefault {
		r.set &^= 1 << reg
	}
}

// maxRemembered limits how deep DW_CFA_remember_state nests; none of 3,704 ELF files on a Debian machine nests deeper.
const maxRemembered = 8

// interpreter runs the instructions of a CIE and an FDE up to an address. It is as large as its stack, and is reused.
type interpreter struct {
	info       *cie
	now        rules
	initial    rules // after the CIE
	remembered [maxRemembered]rules
	depth      int
	inFDE      bool
	pc, until  uint64
}

// run finds the rules for an address within the function.
func (in *interpreter) run(info *cie, f *fde, addr uint64) bool {
	in.info, in.depth, in.inFDE = info, 0, false
	in.now = rules{}
	in.pc, in.until = f.start, addr
	if !in.execute(&cursor{b: info.instructions}) {
		return false
	}
	in.initial = in.now
	in.inFDE, in.pc = true, f.start
	return in.execute(&cursor{b: f.instructions, addr: f.addr})
}

// The opcodes of call frame instructions.
const (
	cfaAdvance = 0x40 // the three with an operand in their low bits
	cfaOffset  = 0x80
	cfaRestore = 0xc0

	cfaNop                     = 0x00
	cfaSetLocation             = 0x01
	cfaAdvance1                = 0x02
	cfaAdvance2                = 0x03
	cfaAdvance4                = 0x04
	cfaOffsetExtended          = 0x05
	cfaRestoreExtended         = 0x06
	cfaUndefined               = 0x07
	cfaSameValue               = 0x08
	cfaRegister                = 0x09
	cfaRememberState           = 0x0a
	cfaRestoreState            = 0x0b
	cfaDefine                  = 0x0c
	cfaDefineRegister          = 0x0d
	cfaDefineOffset            = 0x0e
	cfaDefineExpression        = 0x0f
	cfaExpression              = 0x10
	cfaOffsetSigned            = 0x11
	cfaDefineSigned            = 0x12
	cfaDefineOffsetSigned      = 0x13
	cfaValueOffset             = 0x14
	cfaValueOffsetSigned       = 0x15
	cfaValueExpression         = 0x16
	cfaArgumentsSize           = 0x2e // GNU
	cfaOffsetNegative          = 0x2f // GNU, old
	primaryMask           byte = 0xc0
)

// execute runs instructions until the next would be for code behind the address. It returns false at the first that it cannot run.
func (in *interpreter) execute(c *cursor) bool {
	for c.left() > 0 && in.pc <= in.until {
		op := c.u8()
		operand := uint64(op &^ primaryMask)
		ok := true
		switch op & primaryMask {
		case cfaAdvance:
			in.advance(operand)
		case cfaOffset:
			ok = in.saved(operand, int64(c.uleb()))
		case cfaRestore:
			in.restore(operand)
		default:
			switch {
			case op <= cfaAdvance4:
				in.move(op, c)
			case op <= cfaRestoreExtended || op == cfaOffsetSigned || op == cfaOffsetNegative:
				ok = in.save(op, c)
			case op >= cfaDefine && op <= cfaDefineExpression || op == cfaDefineSigned || op == cfaDefineOffsetSigned:
				ok = in.define(op, c)
			default:
				ok = in.other(op, c)
			}
		}
		if !ok || c.bad {
			return false
		}
	}
	return true
}

// advance moves on by a distance in units of the code's alignment.
func (in *interpreter) advance(distance uint64) {
	if next := in.pc + distance*in.info.codeAlign; next >= in.pc {
		in.pc = next
	} else {
		in.pc = math.MaxUint64
	}
}

// move runs an instruction that says where the next row begins.
func (in *interpreter) move(op byte, c *cursor) {
	switch op {
	case cfaSetLocation:
		in.pc = max(in.pc, c.pointer(in.info.encoding, 0))
	case cfaAdvance1:
		in.advance(c.unsigned(1))
	case cfaAdvance2:
		in.advance(c.unsigned(2))
	case cfaAdvance4:
		in.advance(c.unsigned(4))
	}
}

// save runs an instruction about a register that is saved at a distance from the CFA.
func (in *interpreter) save(op byte, c *cursor) bool {
	reg := c.uleb()
	switch op {
	case cfaOffsetExtended:
		return in.saved(reg, int64(c.uleb()))
	case cfaOffsetSigned:
		return in.saved(reg, c.sleb())
	case cfaOffsetNegative:
		return in.saved(reg, -int64(c.uleb()))
	}
	in.restore(reg)
	return true
}

func (in *interpreter) saved(reg uint64, factored int64) bool {
	v, ok := in.aligned(factored)
	in.now.put(reg, rule{kind: ruleSaved, value: v})
	return ok
}

func (in *interpreter) restore(reg uint64) {
	if reg < registerCount {
		in.now.put(reg, in.initial.regs[reg])
	}
}

// aligned multiplies an operand by the data's alignment.
func (in *interpreter) aligned(factored int64) (int32, bool) {
	// Neither factor may be so large that the product wraps.
	if factored != int64(int32(factored)) || in.info.dataAlign != int64(int8(in.info.dataAlign)) {
		return 0, false
	}
	v := factored * in.info.dataAlign
	return int32(v), v == int64(int32(v))
}

// define runs an instruction about the CFA.
func (in *interpreter) define(op byte, c *cursor) bool {
	cfa := &in.now.cfa
	reg, offset := int64(cfa.reg), int64(cfa.value)
	ok := true
	switch op {
	case cfaDefineExpression:
		*cfa, ok = in.expression(ruleExpression, c)
		return ok
	case cfaDefine:
		reg, offset = int64(c.uleb()), int64(c.uleb())
	case cfaDefineSigned:
		reg = int64(c.uleb())
		v, fits := in.aligned(c.sleb())
		offset, ok = int64(v), fits
	case cfaDefineRegister:
		reg, ok = int64(c.uleb()), cfa.kind == ruleOffset
	case cfaDefineOffset:
		offset, ok = int64(c.uleb()), cfa.kind == ruleOffset
	case cfaDefineOffsetSigned:
		v, fits := in.aligned(c.sleb())
		offset, ok = int64(v), fits && cfa.kind == ruleOffset
	}
	*cfa = rule{kind: ruleOffset, reg: uint8(reg), value: int32(offset)}
	return ok && reg >= 0 && reg < registerCount && offset == int64(int32(offset))
}

// other runs the rest of the instructions.
func (in *interpreter) other(op byte, c *cursor) bool {
	switch op {
	case cfaRememberState:
		if in.depth == maxRemembered {
			return false
		}
		in.remembered[in.depth] = in.now
		in.depth++
		return true
	case cfaRestoreState:
		if in.depth == 0 {
			return false
		}
		in.depth--
		in.now = in.remembered[in.depth]
		return true
	case cfaArgumentsSize: // of calls that are being prepared, for exceptions
		c.uleb()
		return true
	}
	reg, to, ok := c.uleb(), rule{}, true
	switch op {
	case cfaUndefined:
		to.kind = ruleUndefined
	case cfaSameValue:
		to.kind = ruleSame
	case cfaRegister:
		from := c.uleb()
		to, ok = rule{kind: ruleRegister, reg: uint8(from)}, from < registerCount
	case cfaExpression:
		to, ok = in.expression(ruleSavedAt, c)
	case cfaValueExpression:
		to, ok = in.expression(ruleExpression, c)
	case cfaValueOffset:
		to.kind = ruleOffset
		to.value, ok = in.aligned(int64(c.uleb()))
	case cfaValueOffsetSigned:
		to.kind = ruleOffset
		to.value, ok = in.aligned(c.sleb())
	default:
		return false
	}
	in.now.put(reg, to)
	return ok
}

// expression makes a rule of an expression, which stays where it is.
func (in *interpreter) expression(kind ruleKind, c *cursor) (rule, bool) {
	n := c.uleb()
	r := rule{kind: kind, value: int32(c.at)}
	if in.inFDE {
		r.reg = 1
	}
	if n > maxExpression {
		return r, false
	}
	r.size = uint8(n)
	c.bytes(n)
	return r, !c.bad
}
