// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/gizmo-ebpf/gizmo/event"
)

// decodeBatch fills b from the payload of a batch's frame. The rows lie in the payload, except for
// those that need their zeros back.
func (r *Reader) decodeBatch(payload []byte, b *event.Batch) error {
	c := cursor{rest: payload}
	number := c.uvarint()
	if c.bad || number >= uint64(len(r.sources)) {
		return fmt.Errorf("it is of data source %d, and there are %d", number, len(r.sources))
	}
	source := &r.sources[number]
	b.Reset(r.schemas[number])
	if err := decodeLosses(&c, b); err != nil {
		return err
	}
	stored, padding, err := r.decodeLens(&c, source.size)
	if err != nil {
		return err
	}
	if len(source.columns) == 0 && stored < len(c.rest) {
		return rowsDiffer(stored, len(c.rest))
	}
	r.fillRows(c.rest[:stored], padding, source.size, b)
	if len(source.columns) > 0 {
		c.rest = c.rest[stored:]
		if err := r.decodeColumns(&c, source, b); err != nil {
			return err
		}
	}
	source.total.add(len(b.Rows), b.Lost)
	r.current = b.Schema
	return nil
}

func decodeLosses(c *cursor, b *event.Batch) error {
	n := c.uvarint()
	if n > maxLosses {
		return fmt.Errorf("it has %d losses, and %d is the most", n, maxLosses)
	}
	for range n {
		cpu, cause, count := c.uvarint(), c.byte(), c.uvarint()
		if c.bad {
			return errShort
		}
		if cpu > maxCPUs {
			return fmt.Errorf("a loss on CPU %d", cpu-1)
		}
		b.Lost = append(b.Lost, event.Loss{CPU: int(cpu) - 1, Cause: event.Cause(cause), Count: count})
	}
	return nil
}

// decodeLens fills r.lens with the stored lengths of the rows, whose bytes then come next in c. It returns how
// many these are, and how many bytes the rows have that need padding to size.
func (r *Reader) decodeLens(c *cursor, size int) (stored, padded int, err error) {
	n := c.uvarint()
	if n > maxBatchRows || n > uint64(len(c.rest)) {
		return 0, 0, fmt.Errorf("it has %d rows, which is too many", n)
	}
	r.lens = slices.Grow(r.lens[:0], int(n))[:n]
	full := 0
	for i := range r.lens {
		l := c.uvarint()
		if l > maxRow {
			return 0, 0, fmt.Errorf("a row of %d bytes, and %d is the most", l, maxRow)
		}
		r.lens[i] = int(l)
		stored += int(l)
		full += max(int(l), size)
		if int(l) < size {
			padded += size
		}
		if full > maxBatchData {
			return 0, 0, fmt.Errorf("its rows have more than %d bytes, which is the most", maxBatchData)
		}
	}
	if c.bad || stored > len(c.rest) {
		return 0, 0, rowsDiffer(stored, len(c.rest))
	}
	return stored, padded, nil
}

func rowsDiffer(stored, there int) error {
	return fmt.Errorf("its rows take %d bytes, and it has %d", stored, there)
}

// fillRows cuts data into the rows of b. padded is how many bytes those rows take that are stored
// short.
func (r *Reader) fillRows(data []byte, padded, size int, b *event.Batch) {
	r.padded = slices.Grow(r.padded[:0], padded)
	b.Rows = slices.Grow(b.Rows, len(r.lens))
	pad := r.padded[:padded]
	for _, n := range r.lens {
		row := data[:n:n]
		data = data[n:]
		if n < size {
			clear(pad[copy(pad[:size], row):size])
			row, pad = pad[:size:size], pad[size:]
		}
		b.Rows = append(b.Rows, row)
	}
}

var errShort = errors.New("it is shorter than what it should hold")

// cursor reads a payload. After the first value that is not there, bad is true and all others read
// as 0.
type cursor struct {
	rest []byte
	bad  bool
}

func (c *cursor) uvarint() uint64 {
	if len(c.rest) > 0 && c.rest[0] < 0x80 { // most values
		v := c.rest[0]
		c.rest = c.rest[1:]
		return uint64(v)
	}
	v, n := binary.Uvarint(c.rest)
	if n <= 0 {
		c.bad, c.rest = true, nil
		return 0
	}
	c.rest = c.rest[n:]
	return v
}

func (c *cursor) byte() byte {
	if len(c.rest) == 0 {
		c.bad = true
		return 0
	}
	v := c.rest[0]
	c.rest = c.rest[1:]
	return v
}

// finish says whether the payload held exactly what was read.
func (c *cursor) finish() error {
	if c.bad {
		return errShort
	}
	if len(c.rest) > 0 {
		return fmt.Errorf("%d bytes too many", len(c.rest))
	}
	return nil
}
