// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pcapexpr

import (
	"slices"

	"golang.org/x/net/bpf"
)

// number is an operand: a constant if it has no code, else code that leaves it in register A.
type number struct {
	at    int
	value uint32
	code  []bpf.Instruction
	// checks are the conditions without which the number does not exist: tcp[0] needs TCP.
	checks []*formula
	// depth is how many words of scratch memory the code needs.
	depth int
}

const (
	// scratch is how many words of scratch memory there are.
	scratch = 16
	// maxCalculation limits the instructions of one number.
	maxCalculation = 1024
)

func isRelation(op string) bool {
	switch op {
	case "=", "==", "!=", "<", "<=", ">", ">=":
		return true
	}
	return false
}

// precedence of an operator; 0: it is none. See binary about ^ and %.
func precedence(op string) int {
	switch op {
	case "|":
		return 1
	case "&":
		return 2
	case "<<", ">>":
		return 3
	case "+", "-":
		return 4
	case "*", "/":
		return 5
	case "^", "%":
		return 6
	}
	return 0
}

// operand reads a number.
func (p *parser) operand() *number {
	at, outer := p.token.at, p.number
	p.number = true
	v := p.primary()
	p.number = outer
	if v.number == nil {
		p.fail(at, "expected a number, and this is a condition")
		return &number{at: at}
	}
	return v.number
}

func (p *parser) negative() *number {
	n := p.operand()
	// Not bpf.NegateA, which the interpreter of package bpf does not know.
	return p.calculate("*", n, &number{value: 1<<32 - 1, at: n.at}, n.at)
}

// binary reads operators that bind at least as strongly as least. As for tcpdump, whose grammar does not say how strongly ^ and % bind, these
// two take all that follows as their right side, and a ^ or % after any operand comes first.
func (p *parser) binary(left *number, least int) *number {
	for {
		op := p.token
		binds := precedence(op.text)
		if op.kind != symbolToken || binds == 0 || binds < least {
			return left
		}
		p.next()
		right := p.operand()
		if after := p.token; after.kind == symbolToken {
			switch follows := precedence(after.text); {
			case follows == 0:
			case op.text == "^" || op.text == "%":
				p.nested(op.at, func() { right = p.binary(right, 1) })
			case follows > binds:
				p.nested(op.at, func() { right = p.binary(right, binds+1) })
			}
		}
		left = p.calculate(op.text, left, right, op.at)
	}
}

// relation reads the operators behind a number, and the comparison, if there is one.
func (p *parser) relation(left *number) value {
	left = p.binary(left, 1)
	op := p.token
	if op.kind != symbolToken || !isRelation(op.text) {
		return value{number: left}
	}
	p.next()
	p.quals = quals{}
	right := p.binary(p.operand(), 1)
	return value{formula: p.gen.relation(op, left, right)}
}

func aluOp(op string) bpf.ALUOp {
	return map[string]bpf.ALUOp{
		"|": bpf.ALUOpOr, "&": bpf.ALUOpAnd, "^": bpf.ALUOpXor, "<<": bpf.ALUOpShiftLeft, ">>": bpf.ALUOpShiftRight,
		"+": bpf.ALUOpAdd, "-": bpf.ALUOpSub, "*": bpf.ALUOpMul, "/": bpf.ALUOpDiv, "%": bpf.ALUOpMod,
	}[op]
}

// calculate joins two numbers.
func (p *parser) calculate(op string, x, y *number, at int) *number {
	if y.code == nil {
		switch {
		case y.value == 0 && (op == "/" || op == "%"):
			p.fail(at, "division by zero")
			return x
		case y.value > 31 && (op == "<<" || op == ">>"):
			p.fail(at, "a shift by more than 31 bits")
			return x
		}
	}
	if x.code == nil && y.code == nil {
		return &number{at: x.at, value: fold(op, x.value, y.value)}
	}
	out := &number{at: x.at, checks: slices.Concat(x.checks, y.checks)}
	if y.code == nil {
		out.depth = x.depth
		out.code = append(slices.Clip(x.code), bpf.ALUOpConstant{Op: aluOp(op), Val: y.value})
	} else {
		out.code, out.depth = joined(x, y, bpf.ALUOpX{Op: aluOp(op)})
	}
	if out.depth > scratch {
		p.fail(at, "the calculation is nested too deeply: a filter can keep %d numbers", scratch)
		return x
	}
	if len(out.code) > maxCalculation {
		p.fail(at, "the calculation is too big: it needs more than %d instructions", maxCalculation)
		return x
	}
	return out
}

// joined returns code that leaves x in A, y in X, and then runs last. One of them waits in scratch memory, in a word that the other does not
// use.
func joined(x, y *number, last ...bpf.Instruction) (code []bpf.Instruction, depth int) {
	if x.depth < y.depth {
		word := x.depth
		code = append(slices.Clone(y.all()), bpf.StoreScratch{Src: bpf.RegA, N: word})
		code = append(append(code, x.all()...), bpf.LoadScratch{Dst: bpf.RegX, N: word})
		return append(code, last...), max(word+1, y.depth)
	}
	word := y.depth
	code = append(slices.Clone(x.all()), bpf.StoreScratch{Src: bpf.RegA, N: word})
	code = append(append(code, y.all()...), bpf.TAX{}, bpf.LoadScratch{Dst: bpf.RegA, N: word})
	return append(code, last...), max(word+1, x.depth)
}

// all returns code for constants, too.
func (n *number) all() []bpf.Instruction {
	if n.code == nil {
		return []bpf.Instruction{bpf.LoadConstant{Dst: bpf.RegA, Val: n.value}}
	}
	return n.code
}

func fold(op string, x, y uint32) uint32 {
	switch op {
	case "|":
		return x | y
	case "&":
		return x & y
	case "^":
		return x ^ y
	case "<<":
		return x << y
	case ">>":
		return x >> y
	case "+":
		return x + y
	case "-":
		return x - y
	case "*":
		return x * y
	case "/":
		return x / y
	}
	return x % y
}

// field reads a part of a packet: tcp[13], ip[2:2].
func (p *parser) field() *number {
	name := p.next()
	p.expect("[")
	var index *number
	p.nested(name.at, func() { index = p.binary(p.operand(), 1) })
	size := 1
	if p.accept(":") {
		t := p.token
		if size = int(p.limited("the number of bytes", 4)); size != 1 && size != 2 && size != 4 {
			p.fail(t.at, "1, 2 or 4 bytes can be read, not %d", size)
		}
	}
	p.expect("]")
	if p.err != nil {
		return &number{at: name.at}
	}
	return p.gen.field(name, canonical(name.text), index, size)
}
