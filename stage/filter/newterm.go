// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package filter

import (
	"encoding/hex"
	"fmt"
	"regexp/syntax"
	"strings"
	"unicode/utf8"

	"github.com/gizmo-ebpf/gizmo/event"
)

// newTerm prepares the comparison of a field with a value in text form.
func newTerm(o operand, op operator, value string) (term, error) {
	switch form := o.Form(); {
	case op.isMatch():
		return newMatch(o, op, value)
	case form.IsInteger():
		return newInteger(o, op, value)
	case form == event.FormFloat:
		return newFloat(o, op, value)
	case form == event.FormBool:
		return newBool(o, op, value)
	case form == event.FormBytes:
		return newBytes(o, op, value)
	}
	return newText(o, op, value)
}

// never is a term that holds for no event.
func never() term { return term{op: opAny} }

// reading returns a term that reads the field's value, for a test to be added.
func reading(o operand) term {
	t := term{op: opText, reader: o.Reader}
	switch {
	case o.Origin() == event.FromColumn:
		t.op, t.known = opColumn, new(verdicts)
	case o.Origin() == event.FromText:
		t.text = o.Field().Text
	case o.inRecord() && o.isText():
		f := o.Field()
		t.op, t.off, t.end = opString, f.Off, f.Off+f.Size
	}
	return t
}

func newInteger(o operand, op operator, value string) (term, error) {
	bits, signed := uint(128), true // the text of a field may show more than its bytes can hold
	switch {
	case o.inRecord():
		bits, signed = o.Number().Bits(), o.Form() == event.FormInt || o.Form() == event.FormInt128
	case o.Origin() == event.FromColumn:
		bits, signed = 64, o.Form() == event.FormInt
	}
	least, greatest := limits(bits, signed)
	n, ok := parseInteger(value)
	if !ok || n.Cmp(least) < 0 || n.Cmp(greatest) > 0 {
		holds := wholeNumbers
		if bits <= 64 {
			holds = fmt.Sprintf("%s from %s to %s", wholeNumbers, least, greatest)
		}
		return term{}, o.mismatch(value, holds)
	}
	s, some := spanOf(op, n, least, greatest)
	if !some {
		return never(), nil
	}
	t := rangeTerm(o, s)
	t.negate = op == unequal
	return t, nil
}

// rangeTerm returns the term that tests whether a number is in s.
func rangeTerm(o operand, s span) term {
	if !o.inRecord() {
		t := reading(o)
		t.test, t.span = testInteger, &s
		return t
	}
	n := o.Number()
	t := term{op: opUint, off: n.Off, end: n.Off + n.Size, shift: n.BitOff, low: s.low.low, width: s.width.low, span: &s}
	t.mask = 1<<n.Bits() - 1
	switch {
	case n.Bits() > 64:
		t.op = opWide
	case n.BitSize == 0 && n.Size == 4:
		t.op = opUint32
	case n.BitSize == 0 && n.Size == 8:
		t.op = opUint64
	}
	if n.BitSize == 0 {
		t.shift = 0
	}
	return t
}

func newFloat(o operand, op operator, value string) (term, error) {
	bitSize := 64
	if o.inRecord() {
		bitSize = int(o.Number().Size) * 8 // so that 0.1 is the same number as in the record
	}
	x, err := parseFloat(value, bitSize)
	if err != nil {
		return term{}, o.mismatch(value, numbers)
	}
	t := reading(o)
	t.test = testFloat
	if o.inRecord() {
		t.op = opFloat
	}
	t.float, t.negate = floatTest{op: op, value: x}, op == unequal
	if op == unequal {
		t.float.op = equal
	}
	return t, nil
}

func newBool(o operand, op operator, value string) (term, error) {
	switch {
	case op.isOrder():
		return term{}, fmt.Errorf("field %q is a bool: %s does not apply; use == or !=", o.name, op)
	case value != "true" && value != "false":
		return term{}, o.mismatch(value, booleans)
	case !o.inRecord():
		t := reading(o)
		t.test, t.value, t.negate = testEqual, value, op == unequal
		return t, nil
	}
	t := rangeTerm(o, span{}) // tests whether it is 0, which is false
	t.negate = (value == "true") != (op == unequal)
	return t, nil
}

func newBytes(o operand, op operator, value string) (term, error) {
	value = strings.ToLower(value)
	raw, err := hex.DecodeString(value)
	size := int(o.Field().Size)
	switch {
	case op.isOrder() || op > matchesNot: // of the digits, of which there may be few
		return newTest(o, op, value), nil
	case err != nil:
		return term{}, o.mismatch(value, hexDigits)
	case o.Origin() == event.FromTrailing:
		t := term{op: opRest, test: testEqual, value: string(raw), reader: o.Reader}
		t.negate = op == unequal
		return t, nil
	case !o.inRecord():
		return newTest(o, op, value), nil
	case len(raw) != size:
		return term{}, o.mismatch(value, fmt.Sprintf("%d bytes", size))
	}
	return startTerm(o, string(raw), op == unequal), nil
}

func newText(o operand, op operator, value string) (term, error) {
	if !o.inRecord() || op.isOrder() || op == contains || op == endsWith {
		return newTest(o, op, value), nil
	}
	// The other operators test the first bytes of the field.
	switch size := int(o.Field().Size); {
	case len(value) > size && op != startsWith:
		return term{}, o.mismatch(value, fmt.Sprintf("at most %d bytes", size))
	case len(value) > size, strings.IndexByte(value, 0) >= 0:
		t := never()
		t.negate = op == unequal
		return t, nil
	case len(value) < size && op != startsWith:
		value += "\x00" // which ends the text
	}
	return startTerm(o, value, op == unequal), nil
}

// startTerm returns the term that tests whether the field's bytes begin with value.
func startTerm(o operand, value string, negate bool) term {
	off := o.Field().Off
	return term{op: opStart, off: off, end: off + uint32(len(value)), value: value, negate: negate}
}

// newTest returns the term that compares the field's text.
func newTest(o operand, op operator, value string) term {
	t := reading(o)
	t.value = value
	switch op {
	case equal, unequal:
		t.test, t.negate = testEqual, op == unequal
	case less, greaterEqual:
		t.test, t.negate = testLess, op == greaterEqual
	case lessEqual, greater:
		t.test, t.negate = testLessEqual, op == greater
	case contains:
		t.test = testContains
	case startsWith:
		t.test = testPrefix
	case endsWith:
		t.test = testSuffix
	}
	return t
}

// newMatch prepares a regular expression. If the expression only looks for a text, anywhere or at the beginning or
// the end, the term compares texts.
func newMatch(o operand, op operator, pattern string) (term, error) {
	r, err := compileRegexp(pattern)
	if err != nil {
		return term{}, err
	}
	if simple, text, ok := simpleMatch(pattern); ok && o.isText() && (!o.inRecord() || len(text) <= int(o.Field().Size)) {
		t, err := newText(o, simple, text)
		t.negate = t.negate != (op == matchesNot)
		return t, err
	}
	t := reading(o)
	t.test, t.regexp, t.negate = testRegexp, r, op == matchesNot
	return t, nil
}

// simpleMatch returns the operator that does the same as a pattern, if there is one.
func simpleMatch(pattern string) (operator, string, bool) {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return noOperator, "", false
	}
	parts := []*syntax.Regexp{re}
	if re.Op == syntax.OpConcat {
		parts = re.Sub
	}
	atStart := len(parts) > 1 && parts[0].Op == syntax.OpBeginText
	if atStart {
		parts = parts[1:]
	}
	atEnd := len(parts) > 1 && parts[len(parts)-1].Op == syntax.OpEndText
	if atEnd {
		parts = parts[:len(parts)-1]
	}
	if len(parts) != 1 || parts[0].Op != syntax.OpLiteral || parts[0].Flags&syntax.FoldCase != 0 {
		return noOperator, "", false
	}
	text := string(parts[0].Rune)
	op := [2][2]operator{{contains, endsWith}, {startsWith, equal}}[index(atStart)][index(atEnd)]
	return op, text, !strings.ContainsRune(text, utf8.RuneError) // which stands for any invalid byte
}

func index(b bool) int {
	if b {
		return 1
	}
	return 0
}

// newCIDR prepares the test whether the field's text is an address in a network.
func newCIDR(o operand, network string) (term, error) {
	prefix, err := parseNetwork(network)
	if err != nil {
		return term{}, err
	}
	if !o.isText() {
		return term{}, fmt.Errorf("field %q is a %s, not an address", o.name, o.kind())
	}
	t := reading(o)
	t.test, t.network = testCIDR, prefix
	return t, nil
}
