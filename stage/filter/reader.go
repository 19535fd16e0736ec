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

// cidr reports whether an address lies in a network. It is called where one of them is no constant
// or the address no field; other calls are replaced.
func cidr(args ...any) (any, error) {
	network, err := parseNetwork(args[1].(string))
	if err != nil {
		return nil, err
	}
	addr, ok := parseAddr([]byte(args[0].(string)))
	return ok && network.Contains(addr), nil
}

// reader returns the function that reads the field of the event at the cursor: as an int, a
// float64, a bool or a string. An integer or a string that differs from the one before has to be
// allocated, for expr's values are interfaces.
func (o *operand) reader(c *cursor) function {
	switch o.shape {
	case shapeInteger, shapeWide, shapeTextInteger:
		return o.integerReader(c)
	case shapeFloat, shapeTextFloat:
		read := o.float()
		return function{func(...any) (any, error) { return read(c), nil }, new(func() float64)}
	case shapeBool, shapeTextBool:
		is, _ := newBool(*o, equal, "true")
		return function{func(...any) (any, error) { return is.holds(c.batch, c.row, &c.buf), nil }, new(func() bool)}
	}
	return o.stringReader(c)
}

// float returns what reads a float. What is no number counts as one that is not a number.
func (o *operand) float() func(c *cursor) float64 {
	if o.shape == shapeFloat {
		return func(c *cursor) float64 { return loadFloat(c.batch.Rows[c.row][o.Off : o.Off+o.Size]) }
	}
	return func(c *cursor) float64 {
		c.buf = o.Text(c.buf[:0], c.batch, c.row)
		x, err := parseFloat(string(c.buf), 64)
		if err != nil {
			return math.NaN()
		}
		return x
	}
}

func (o *operand) integerReader(c *cursor) function {
	load := o.integer()
	var last any
	lastInt := 0
	return function{typ: new(func() int), call: func(...any) (any, error) {
		x, ok := load(c)
		if !ok {
			return nil, fmt.Errorf("field %q is beyond the integers that expressions calculate with, which end at %d; "+
				"compare it with a constant instead", o.Name, math.MaxInt)
		}
		if last == nil || x != lastInt {
			last, lastInt = x, x
		}
		return last, nil
	}}
}

// integer returns what reads an integer, and whether that can be calculated with. A text that is no
// number counts as 0.
func (o *operand) integer() func(c *cursor) (int, bool) {
	switch {
	case o.shape == shapeInteger && o.Kind == event.Int:
		return func(c *cursor) (int, bool) { return int(o.Int(c.batch.Rows[c.row])), true }
	case o.shape == shapeInteger:
		return func(c *cursor) (int, bool) {
			x := o.Uint(c.batch.Rows[c.row])
			return int(x), x <= math.MaxInt
		}
	}
	text := reading(*o).text
	return func(c *cursor) (int, bool) {
		c.buf = text(c.buf[:0], c.batch, c.row)
		x, _ := parseDecimal(c.buf)
		fits := x.high == 0 && x.low <= math.MaxInt || x.high == math.MaxUint64 && x.low > math.MaxInt
		return int(x.low), fits
	}
}

func (o *operand) stringReader(c *cursor) function {
	t := reading(*o)
	var last any = ""
	lastText := ""
	return function{typ: new(func() string), call: func(...any) (any, error) {
		if p := t.read(c); string(p) != lastText {
			lastText = string(p)
			last = lastText
		}
		return last, nil
	}}
}

// read returns the text that the term tests.
func (t *term) read(c *cursor) []byte {
	if t.op == opString {
		return event.CString(c.batch.Rows[c.row][t.off:t.end])
	}
	c.buf = t.text(c.buf[:0], c.batch, c.row)
	return c.buf
}
