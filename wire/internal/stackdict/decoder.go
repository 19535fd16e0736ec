// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package stackdict

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/gizmo-ebpf/gizmo/symbol"
)

// Decoder reads the payloads of frames of stacks. The zero value is at the beginning of a recording.
type Decoder struct {
	modules   []*symbol.Module
	functions []*symbol.Function
	locations []*symbol.Location
}

var errShort = errors.New("it is shorter than what it should hold")

// Decode reads a payload. It calls add for each stack, with the numbers of the data source and the column and the handle as they are in the recording, and
// returns the cost of all that it read. It stops once the cost is above the limit.
func (d *Decoder) Decode(payload []byte, limit int, add func(source, column, handle uint64, s *symbol.Stack) error) (cost int, err error) {
	c := cursor{rest: payload, limit: limit}
	for n := c.uvarint(); n > 0 && c.err == nil; n-- {
		d.readModule(&c)
	}
	for n := c.uvarint(); n > 0 && c.err == nil; n-- {
		d.readFunction(&c)
	}
	for n := c.uvarint(); n > 0 && c.err == nil; n-- {
		d.readLocation(&c)
	}
	for n := c.uvarint(); n > 0 && c.err == nil; n-- {
		source, column, handle := c.uvarint(), c.uvarint(), c.uvarint()
		s := d.readStack(&c)
		if c.err != nil {
			break
		}
		if err := add(source, column, handle, s); err != nil {
			return c.cost, err
		}
	}
	if c.err == nil && len(c.rest) > 0 {
		c.err = fmt.Errorf("%d bytes too many", len(c.rest))
	}
	return c.cost, c.err
}

// Restart forgets everything.
func (d *Decoder) Restart() { *d = Decoder{} }

func (d *Decoder) readModule(c *cursor) {
	flags := c.byte()
	m := &symbol.Module{Kernel: flags&isKernel != 0, Name: c.text(), BuildID: c.text()}
	m.Start, m.Limit, m.Offset = c.uvarint(), c.uvarint(), c.uvarint()
	c.pay(costOfModule + len(m.Name) + len(m.BuildID))
	d.modules = append(d.modules, m)
}

func (d *Decoder) readFunction(c *cursor) {
	f := &symbol.Function{Name: c.text(), System: c.text()}
	c.pay(costOfFunction + len(f.Name) + len(f.System))
	if f.System == "" {
		f.System = f.Name
	}
	d.functions = append(d.functions, f)
}

func (d *Decoder) readLocation(c *cursor) {
	module, function := c.uvarint(), c.uvarint()
	l := &symbol.Location{
		Module:   numbered(c, d.modules, module, "module"),
		Function: numbered(c, d.functions, function, "function"),
		Address:  c.uvarint(),
	}
	c.pay(costOfLocation)
	d.locations = append(d.locations, l)
}

func (d *Decoder) readStack(c *cursor) *symbol.Stack {
	head := c.uvarint()
	n := head >> 1
	if n > MaxAddresses || n > uint64(len(c.rest)) {
		c.fail(fmt.Errorf("a stack with %d addresses", n))
		return nil
	}
	s := &symbol.Stack{Truncated: head&1 != 0, Addresses: make([]uint64, n), Locations: make([]*symbol.Location, n)}
	c.pay(costOfStack + costOfAddress*int(n))
	for i := range n {
		number := c.uvarint()
		if number == 0 {
			c.fail(errors.New("an address without a location"))
		}
		s.Locations[i] = numbered(c, d.locations, number, "location")
		s.Addresses[i] = c.u64()
	}
	return s
}

// numbered returns the thing with a number; nil for 0.
func numbered[T any](c *cursor, all []*T, number uint64, what string) *T {
	switch {
	case number == 0 || c.err != nil:
		return nil
	case number > uint64(len(all)):
		c.fail(fmt.Errorf("%s %d, and there are %d", what, number, len(all)))
		return nil
	}
	return all[number-1]
}

// cursor reads a payload. After the first error everything reads as 0.
type cursor struct {
	rest        []byte
	cost, limit int
	err         error
}

func (c *cursor) fail(err error) {
	if c.err == nil {
		c.err = err
	}
	c.rest = nil
}

// pay counts the memory of something.
func (c *cursor) pay(cost int) {
	if c.cost += cost; c.cost > c.limit {
		c.fail(errors.New("the stacks count for more than the limit without a restart"))
	}
}

func (c *cursor) uvarint() uint64 {
	v, n := binary.Uvarint(c.rest)
	if n <= 0 {
		c.fail(errShort)
		return 0
	}
	c.rest = c.rest[n:]
	return v
}

func (c *cursor) byte() byte {
	if len(c.rest) == 0 {
		c.fail(errShort)
		return 0
	}
	v := c.rest[0]
	c.rest = c.rest[1:]
	return v
}

func (c *cursor) u64() uint64 {
	if len(c.rest) < 8 {
		c.fail(errShort)
		return 0
	}
	v := binary.LittleEndian.Uint64(c.rest)
	c.rest = c.rest[8:]
	return v
}

func (c *cursor) text() string {
	n := c.uvarint()
	if n > uint64(len(c.rest)) {
		c.fail(errShort)
		return ""
	}
	text := string(c.rest[:n])
	c.rest = c.rest[n:]
	return text
}
