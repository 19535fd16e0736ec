// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pcapexpr

import (
	"fmt"
	"strconv"

	"golang.org/x/net/bpf"
)

// parser reads an expression and has the generator make formulas of its parts, from left to right: what stands behind
// "vlan", "mpls" or "pppoes" is about the packet inside.
type parser struct {
	text   string
	token  token // the one to be read next
	gen    *generator
	quals  quals // those of the last primitive, which an address alone inherits
	err    *Error
	depth  int
	tests  int
	number bool // an operand of a calculation is expected, so that a number is nothing but a number
}

// value is a condition or a number: a parenthesis may begin either.
type value struct {
	formula *formula
	number  *number
}

func newParser(text string, tag bool) *parser {
	p := &parser{text: text}
	p.gen = &generator{fail: p.fail, tagged: tag, linkType: 12, payload: 14}
	p.token = scan(text, 0)
	return p
}

// fail records the first mistake, and ends the expression there.
func (p *parser) fail(at int, format string, args ...any) *formula {
	if p.err == nil {
		p.err = &Error{columnOf(p.text, at), fmt.Sprintf(format, args...)}
	}
	p.token = token{kind: endToken, at: len(p.text)}
	return constant(false)
}

func (p *parser) parse() (*formula, error) {
	if p.token.kind == endToken {
		return constant(true), nil
	}
	at := p.token.at
	f := p.condition(at, p.whole())
	if t := p.token; t.kind != endToken {
		p.unexpected(t, "\"and\" or \"or\"")
	}
	if p.err != nil {
		return nil, p.err
	}
	return f, nil
}

func (p *parser) next() token {
	t := p.token
	if t.kind != endToken {
		p.token = scan(p.text, t.end)
	}
	return t
}

// after returns the token after the next one.
func (p *parser) after() *token {
	t := scan(p.text, p.token.end)
	return &t
}

func (p *parser) accept(symbol string) bool {
	found := p.token.is(symbol)
	if found {
		p.next()
	}
	return found
}

func (p *parser) acceptWord(word string) bool {
	found := p.token.isWord(word)
	if found {
		p.next()
	}
	return found
}

func (p *parser) expect(symbol string) {
	if !p.accept(symbol) {
		p.unexpected(p.token, strconv.Quote(symbol))
	}
}

func (p *parser) unexpected(t token, want string) *formula {
	switch t.kind {
	case endToken:
		return p.fail(t.at, "the expression ends here; expected %s", want)
	case wordToken:
		if !isKnown(t.text) {
			return p.unknown(t)
		}
		if isUnsupported(t.text) {
			return p.fail(t.at, "%q is not supported", t.text)
		}
	}
	return p.fail(t.at, "unexpected %q; expected %s", t.text, want)
}

// condition returns the formula of a value that must be one.
func (p *parser) condition(at int, v value) *formula {
	if v.formula == nil {
		return p.fail(at, "this is a number and no condition; compare it, as in \"len > 100\"")
	}
	return v.formula
}

// whole reads conditions with "and" and "or" between them, which bind equally; or a number.
func (p *parser) whole() value {
	at := p.token.at
	left := p.negated()
	for {
		and := p.accept("&&") || p.acceptWord("and")
		if !and && !p.accept("||") && !p.acceptWord("or") {
			return left
		}
		kind := isOr
		if and {
			kind = isAnd
		}
		x, rightAt := p.condition(at, left), p.token.at
		left = value{formula: &formula{kind: kind, x: x, y: p.condition(rightAt, p.negated())}}
	}
}

// negated reads a condition or a number, with any number of "not" before it.
func (p *parser) negated() value {
	at, odd, some := p.token.at, false, false
	for p.accept("!") || p.acceptWord("not") {
		odd, some = !odd, true
	}
	v := p.primary()
	if v.number != nil {
		v = p.relation(v.number)
	}
	if !some {
		return v
	}
	f := p.condition(at, v)
	if odd {
		f = not(f)
	}
	return value{formula: f}
}

// count limits the number of primitives.
func (p *parser) count(at int) {
	if p.tests++; p.tests > maxTests {
		p.fail(at, "the expression is too big: it has more than %d primitives", maxTests)
	}
}

// nested calls read one level deeper.
func (p *parser) nested(at int, read func()) {
	if p.depth++; p.depth > maxDepth {
		p.fail(at, "parentheses are nested more than %d deep", maxDepth)
		return
	}
	read()
	p.depth--
}

// primary reads one primitive, a number, or what is in parentheses.
func (p *parser) primary() (v value) {
	t := p.token
	p.count(t.at)
	switch t.kind {
	case symbolToken:
		switch {
		case p.accept("("):
			p.nested(t.at, func() { v = p.whole() })
			p.expect(")")
			return v
		case p.accept("-"):
			p.nested(t.at, func() { v.number = p.negative() })
			return v
		}
	case numberToken:
		if p.number || !p.quals.set || p.calculates(t.end) {
			p.next()
			n, ok := parseNumber(t.text)
			if !ok {
				p.fail(t.at, "%s is no number of 32 bits (a leading 0 means octal, 0x hexadecimal)", t.text)
			}
			return value{number: &number{value: n, at: t.at}}
		}
		return value{formula: p.id(p.quals)}
	case dottedToken, ip6Token, macToken, escapedToken:
		if !p.quals.set {
			return value{formula: p.fail(t.at, "what is %q? Write \"host\", \"net\", \"port\" or the like before it", t.text)}
		}
		return value{formula: p.id(p.quals)}
	case wordToken:
		return p.word()
	}
	return value{formula: p.unexpected(t, p.wanted())}
}

// wanted says what a primary is.
func (p *parser) wanted() string {
	if p.number {
		return "a number"
	}
	return "a condition"
}

// calculates reports whether an operator follows at a byte.
func (p *parser) calculates(at int) bool {
	t := scan(p.text, at)
	return t.kind == symbolToken && (precedence(t.text) > 0 || isRelation(t.text))
}

// word reads a primitive or a number that begins with a word.
func (p *parser) word() value {
	t := p.token
	if n, ok := namedNumbers()[t.text]; ok {
		p.next()
		return value{number: &number{value: n, at: t.at}}
	}
	if t.text == "len" || t.text == "length" {
		p.next()
		return value{number: &number{code: []bpf.Instruction{bpf.LoadExtension{Num: bpf.ExtLen}}, at: t.at}}
	}
	if isProtocol(t.text) && p.after().is("[") {
		return value{number: p.field()}
	}
	switch {
	case isProtocol(t.text), isDirection(t.text), isType(t.text):
		return value{formula: p.qualified()}
	case isOther(t.text):
		p.quals = quals{}
		return value{formula: p.other()}
	case isUnsupported(t.text):
		return value{formula: p.fail(t.at, "%q is not supported", t.text)}
	case p.quals.set && !isKnown(t.text):
		return value{formula: p.id(p.quals)}
	}
	if !isKnown(t.text) {
		return value{formula: p.unknown(t)}
	}
	return value{formula: p.unexpected(t, p.wanted())}
}

// other reads a primitive without qualifiers.
func (p *parser) other() *formula {
	t := p.next()
	switch t.text {
	case "broadcast", "multicast":
		return p.gen.toMany(quals{}, t)
	case "less", "greater":
		n := p.limited("a length in bytes", 1<<32-1)
		cond := bpf.JumpTest(bpf.JumpGreaterOrEqual)
		if t.text == "less" {
			cond = bpf.JumpGreaterThan
		}
		f := leaf(test{code: []bpf.Instruction{bpf.LoadExtension{Num: bpf.ExtLen}}, cond: cond, with: n})
		if t.text == "less" {
			f = not(f)
		}
		return f
	case "pppoed":
		return p.gen.etherType(t.at, 0x8863)
	}
	number, given := uint32(0), p.token.kind == numberToken
	if given {
		most := map[string]uint32{"vlan": 4095, "mpls": 1<<20 - 1, "pppoes": 65535}[t.text]
		number = p.limited("the number of "+t.text, most)
	}
	switch t.text {
	case "vlan":
		return p.gen.vlan(t.at, number, given)
	case "mpls":
		return p.gen.mpls(t.at, number, given)
	}
	return p.gen.pppoes(t.at, number, given)
}

// limited reads a number up to most.
func (p *parser) limited(what string, most uint32) uint32 {
	t := p.next()
	n, ok := parseNumber(t.text)
	if t.kind != numberToken {
		p.unexpected(t, what)
	} else if !ok || n > most {
		p.fail(t.at, "%s must be from 0 to %d, not %s", what, most, t.text)
	}
	return n
}
