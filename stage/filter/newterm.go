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

// newTerm prepares the comparison of a field with a value that is written as text.
func newTerm(o operand, op operator, value string) (term, error) {
	switch {
	case op.isMatch():
		return newMatch(o, op, value)
	case o.shape == shapeInteger, o.shape == shapeWide, o.shape == shapeTextInteger:
		return newInteger(o, op, value)
	case o.shape == shapeFloat, o.shape == shapeTextFloat:
		return newFloat(o, op, value)
	case o.shape == shapeBool, o.shape == shapeTextBool:
		return newBool(o, op, value)
	case o.shape.isHex():
		return newBytes(o, op, value)
	}
	return newText(o, op, value)
}

// never is a term that holds for no event.
func never() term { return term{op: opAny} }

// reading returns a term that reads the field's text, for a test to be added.
func reading(o operand) term {
	t := term{off: o.Off, end: o.Off + o.Size, field: o.Field}
	switch {
	case o.shape == shapeString:
		t.op = opString
	case o.Text != nil:
		t.op, t.text = opText, o.Text
	default:
		t.op, t.text = opText, shownText(o)
	}
	return t
}

func newInteger(o operand, op operator, value string) (term, error) {
	bits, signed := o.bits(), o.Kind == event.Int
	if o.shape == shapeTextInteger { // the text may show more than the bytes can hold
		bits, signed = 128, true
	}
	least, greatest := limits(bits, signed)
	n, ok := parseInteger(value)
	if !ok || n.Cmp(least) < 0 || n.Cmp(greatest) > 0 {
		holds := wholeNumbers
		if o.shape == shapeInteger {
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

// rangeTerm returns the term that asks whether a number is in s.
func rangeTerm(o operand, s span) term {
	if o.shape == shapeTextInteger {
		t := reading(o)
		t.test, t.span = testInteger, &s
		return t
	}
	t := term{op: opUint, off: o.Off, end: o.Off + o.Size, shift: o.BitOff, low: s.low.low, width: s.width.low, span: &s}
	t.mask = 1<<o.bits() - 1
	switch {
	case o.shape == shapeWide:
		t.op = opWide
	case o.BitSize == 0 && o.Size == 4:
		t.op = opUint32
	case o.BitSize == 0 && o.Size == 8:
		t.op = opUint64
	}
	if o.BitSize == 0 {
		t.shift = 0
	}
	return t
}

func newFloat(o operand, op operator, value string) (term, error) {
	bitSize := 64
	if o.shape == shapeFloat {
		bitSize = int(o.Size) * 8 // so that 0.1 is the same number as in the record
	}
	x, err := parseFloat(value, bitSize)
	if err != nil {
		return term{}, o.mismatch(value, numbers)
	}
	t := term{op: opFloat, off: o.Off, end: o.Off + o.Size}
	if o.shape == shapeTextFloat {
		t = reading(o)
		t.test = testFloat
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
		return term{}, fmt.Errorf("field %q is a bool: %s does not apply; use == or !=", o.Name, op)
	case value != "true" && value != "false":
		return term{}, o.mismatch(value, booleans)
	case o.shape == shapeTextBool:
		t := reading(o)
		t.test, t.value, t.negate = testEqual, value, op == unequal
		return t, nil
	}
	t := rangeTerm(o, span{}) // whether it is 0, which is false
	t.negate = (value == "true") != (op == unequal)
	return t, nil
}

func newBytes(o operand, op operator, value string) (term, error) {
	value = strings.ToLower(value)
	raw, err := hex.DecodeString(value)
	switch {
	case op.isOrder() || op > matchesNot: // of the digits, of which there may be few
		return newTest(o, op, value), nil
	case err != nil:
		return term{}, o.mismatch(value, hexDigits)
	case o.shape == shapeRest:
		t := term{op: opRest, test: testEqual, value: string(raw), field: o.Field}
		t.negate = op == unequal
		return t, nil
	case len(raw) != int(o.Size):
		return term{}, o.mismatch(value, fmt.Sprintf("%d bytes", o.Size))
	}
	return startTerm(o, string(raw), op == unequal), nil
}

func newText(o operand, op operator, value string) (term, error) {
	if o.shape != shapeString || op.isOrder() || op == contains || op == endsWith {
		return newTest(o, op, value), nil
	}
	// The other operators ask for the bytes that the field begins with.
	switch size := int(o.Size); {
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

// startTerm returns the term that asks whether the field's bytes begin with value.
func startTerm(o operand, value string, negate bool) term {
	return term{op: opStart, off: o.Off, end: o.Off + uint32(len(value)), value: value, negate: negate}
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

// newMatch prepares a regular expression. Those that only look for some text, at the beginning or
// the end perhaps, are compared as such.
func newMatch(o operand, op operator, pattern string) (term, error) {
	r, err := compileRegexp(pattern)
	if err != nil {
		return term{}, err
	}
	if simple, text, ok := simpleMatch(pattern); ok && o.shape.isText() && (o.shape != shapeString || len(text) <= int(o.Size)) {
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

// newCIDR prepares the question whether the field's text is an address in a network.
func newCIDR(o operand, network string) (term, error) {
	prefix, err := parseNetwork(network)
	if err != nil {
		return term{}, err
	}
	if !o.shape.isText() {
		return term{}, fmt.Errorf("field %q is a %s, not an address", o.Name, o.kind())
	}
	t := reading(o)
	t.test, t.network = testCIDR, prefix
	return t, nil
}
