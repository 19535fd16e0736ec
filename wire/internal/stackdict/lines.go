// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package stackdict

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/gizmo-ebpf/gizmo/symbol"
)

// The cost of what lines of source need, which counts against their limit.
const (
	costOfPlace = 64
	costOfLine  = 40
	costOfFile  = 64
)

// MaxCalls is the number of lines that a place may have: one for each call.
const MaxCalls = 256

// lineEncoder numbers the parts of lines of source, so that the recording has each once.
type lineEncoder struct {
	modules   numbers[*symbol.Module]
	functions numbers[*symbol.Function]
	files     numbers[string]
	places    []byte
	n         int // places
	left      int // of the limit
}

// EncodeLines returns the payloads of frames with lines of source. They count for up to limit; complete is false if that is not enough for all.
func EncodeLines(known *symbol.Lines, limit int) (payloads [][]byte, complete bool) {
	e := lineEncoder{left: limit}
	modules := make(map[symbol.Module]*symbol.Module)
	for at, lines := range known.All() {
		m := modules[*at.Module]
		if m == nil {
			m = at.Module
			modules[*m] = m
		}
		if e.left -= e.cost(m, lines); e.left < 0 {
			return e.take(payloads), false
		}
		e.add(m, at.Address, lines)
		if len(e.modules.pending)+len(e.functions.pending)+len(e.files.pending)+len(e.places) > enough {
			payloads = e.take(payloads)
		}
	}
	return e.take(payloads), true
}

// cost returns how much a place counts, at most.
func (e *lineEncoder) cost(m *symbol.Module, lines []symbol.Line) int {
	cost := costOfPlace + costOfLine*len(lines)
	if !e.modules.has(m) {
		cost += costOfModule + len(m.Name) + len(m.BuildID)
	}
	for i := range lines {
		if f := lines[i].Function; f != nil && !e.functions.has(f) {
			cost += costOfFunction + len(f.Name) + len(f.System)
		}
		if lines[i].File != "" && !e.files.has(lines[i].File) {
			cost += costOfFile + len(lines[i].File)
		}
	}
	return cost
}

func (e *lineEncoder) add(m *symbol.Module, address uint64, lines []symbol.Line) {
	number := e.modules.of(m, func(dst []byte) []byte { return appendModule(dst, m) })
	e.n++
	e.places = binary.AppendUvarint(e.places, number)
	e.places = binary.AppendUvarint(e.places, address)
	lines = lines[:min(len(lines), MaxCalls)]
	e.places = binary.AppendUvarint(e.places, uint64(len(lines)))
	for i := range lines {
		l := &lines[i]
		function, file := uint64(0), uint64(0)
		if f := l.Function; f != nil {
			function = e.functions.of(f, func(dst []byte) []byte { return appendFunction(dst, f) })
		}
		if l.File != "" {
			file = e.files.of(l.File, func(dst []byte) []byte { return appendText(dst, l.File) })
		}
		for _, v := range [...]uint64{function, number32(l.Start), file, number32(l.Line)} {
			e.places = binary.AppendUvarint(e.places, v)
		}
	}
}

func number32(n int) uint64 {
	if n < 0 || n > math.MaxInt32 {
		return 0
	}
	return uint64(n)
}

func (e *lineEncoder) take(payloads [][]byte) [][]byte {
	if e.n == 0 {
		return payloads
	}
	payload := e.modules.take(nil)
	payload = e.functions.take(payload)
	payload = e.files.take(payload)
	payload = binary.AppendUvarint(payload, uint64(e.n))
	payload = append(payload, e.places...)
	e.n, e.places = 0, e.places[:0]
	return append(payloads, payload)
}

// LineDecoder reads the payloads of frames with lines of source. The zero value is at the beginning of a recording.
type LineDecoder struct {
	parts Decoder // modules and functions
	files []string
	cost  int
}

// Decode reads a payload, and adds its lines to those that are known. It stops once the cost of all payloads is above the limit.
func (d *LineDecoder) Decode(payload []byte, limit int, known *symbol.Lines) error {
	c := cursor{rest: payload, cost: d.cost, limit: limit}
	for n := c.uvarint(); n > 0 && c.err == nil; n-- {
		d.parts.readModule(&c)
	}
	for n := c.uvarint(); n > 0 && c.err == nil; n-- {
		d.parts.readFunction(&c)
	}
	for n := c.uvarint(); n > 0 && c.err == nil; n-- {
		file := c.text()
		c.pay(costOfFile + len(file))
		d.files = append(d.files, file)
	}
	for n := c.uvarint(); n > 0 && c.err == nil; n-- {
		d.readPlace(&c, known)
	}
	if c.err == nil && len(c.rest) > 0 {
		c.err = fmt.Errorf("%d bytes too many", len(c.rest))
	}
	d.cost = c.cost
	return c.err
}

func (d *LineDecoder) readPlace(c *cursor, known *symbol.Lines) {
	module := numbered(c, d.parts.modules, c.uvarint(), "module")
	address, n := c.uvarint(), c.uvarint()
	if c.err == nil && (module == nil || n == 0 || n > MaxCalls) {
		c.fail(errors.New("a place without a module, or with an impossible number of lines"))
	}
	if c.err != nil {
		return
	}
	c.pay(costOfPlace + costOfLine*int(n))
	lines := make([]symbol.Line, n)
	for i := range lines {
		l := &lines[i]
		l.Function = numbered(c, d.parts.functions, c.uvarint(), "function")
		l.Start = c.number32()
		if file := c.uvarint(); file > uint64(len(d.files)) {
			c.fail(fmt.Errorf("file %d, and there are %d", file, len(d.files)))
		} else if file > 0 {
			l.File = d.files[file-1]
		}
		l.Line = c.number32()
	}
	if c.err == nil {
		known.Add(module, address, lines)
	}
}

func (c *cursor) number32() int {
	v := c.uvarint()
	if v > math.MaxInt32 {
		c.fail(fmt.Errorf("the line %d", v))
		return 0
	}
	return int(v)
}
