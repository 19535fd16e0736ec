// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package filter

import (
	"fmt"
	"math"

	"github.com/gizmo-ebpf/gizmo/event"
)

// cidrName is the function that gizmo adds to the language.
const cidrName = "cidr"

// cidrType is the type of cidr, for the compiler.
var cidrType = new(func(string, string) bool)

// cidr reports whether an address is in a network. Calls with a field as the address and a constant as the
// network are replaced by terms; this function serves the others.
func cidr(args ...any) (any, error) {
	network, err := parseNetwork(args[1].(string))
	if err != nil {
		return nil, err
	}
	addr, ok := parseAddr([]byte(args[0].(string)))
	return ok && network.Contains(addr), nil
}

// reader returns the function that reads the field of the event at the cursor: as an int, a
// float64, a bool or a string. It has to allocate an integer or a string that differs from the one before,
// because expr's values are interfaces.
func (o *operand) reader(c *cursor) function {
	switch form := o.Form(); {
	case form.IsInteger():
		return o.integerReader(c)
	case form == event.FormFloat:
		return function{func(...any) (any, error) { return o.float(c), nil }, new(func() float64)}
	case form == event.FormBool:
		is, _ := newBool(*o, equal, "true")
		return function{func(...any) (any, error) { return is.holds(c.batch, c.row, &c.buf), nil }, new(func() bool)}
	}
	return o.stringReader(c)
}

// float reads a float. What is no number counts as one that is not a number.
func (o *operand) float(c *cursor) float64 {
	x, ok := o.Float(c.batch, c.row)
	if !ok {
		return math.NaN()
	}
	return x
}

func (o *operand) integerReader(c *cursor) function {
	var last any
	lastInt := 0
	return function{typ: new(func() int), call: func(...any) (any, error) {
		x, ok := o.integer(c)
		if !ok {
			return nil, fmt.Errorf("field %q is larger than %d, the largest integer that expressions calculate with; "+
				"compare it with a constant instead", o.name, math.MaxInt)
		}
		if last == nil || x != lastInt {
			last, lastInt = x, x
		}
		return last, nil
	}}
}

// integer reads an integer, and reports whether expressions can calculate with it. A value that is no number counts as 0.
func (o *operand) integer(c *cursor) (int, bool) {
	high, low, _ := o.Wide(c.batch, c.row)
	fits := high == 0 && low <= math.MaxInt || high == math.MaxUint64 && low > math.MaxInt
	return int(low), fits
}

// maxCalculated is the length in bytes of the longest text that expressions calculate with: functions make copies of it.
const maxCalculated = 1 << 20

func (o *operand) stringReader(c *cursor) function {
	var last any = ""
	lastText := ""
	return function{typ: new(func() string), call: func(...any) (any, error) {
		p := o.text(c)
		if len(p) > maxCalculated {
			return nil, fmt.Errorf("field %q has %d bytes of text, and expressions calculate with at most %d; "+
				"compare it with a constant instead", o.name, len(p), maxCalculated)
		}
		if string(p) != lastText {
			lastText = string(p)
			last = lastText
		}
		return last, nil
	}}
}

// text reads the text that the output shows.
func (o *operand) text(c *cursor) []byte {
	if o.isText() {
		return o.Bytes(c.batch, c.row)
	}
	c.buf = o.Append(c.buf[:0], c.batch, c.row)
	return c.buf
}
