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

// decodeBatch fills b with the first part of the batch in a frame's payload.
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
	lens := c
	n, stored, err := checkLens(&c, source.size)
	if err != nil {
		return err
	}
	if len(source.columns) == 0 && stored < len(c.rest) {
		return rowsDiffer(stored, len(c.rest))
	}
	all := rest{source: source, lens: lens, data: c.rest[:stored], rows: n}
	all.lens.uvarint() // the number of rows
	if len(source.columns) > 0 {
		c.rest = c.rest[stored:]
		if err := r.decodeColumns(&c, source, n); err != nil {
			return err
		}
	}
	source.total.add(n, b.Lost)
	r.current, r.rest = b.Schema, all
	r.nextPart(b)
	return nil
}

func decodeLosses(c *cursor, b *event.Batch) error {
	n := c.uvarint()
	if n > maxLosses {
		return fmt.Errorf("it has %d losses; the limit is %d", n, maxLosses)
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

// checkLens reads the stored lengths of the rows, whose bytes then come next in c. It returns how many rows there are, and
// how many bytes are stored of them.
func checkLens(c *cursor, size int) (rows, stored int, err error) {
	n := c.uvarint()
	if n > maxBatchRows || n > uint64(len(c.rest)) {
		return 0, 0, fmt.Errorf("it has %d rows, which is too many", n)
	}
	full := 0
	for range n {
		l := c.uvarint()
		if l > maxRow {
			return 0, 0, fmt.Errorf("a row of %d bytes; the limit is %d", l, maxRow)
		}
		stored += int(l)
		full += max(int(l), size)
		if full > maxBatchData {
			return 0, 0, fmt.Errorf("its rows have more than %d bytes, the limit", maxBatchData)
		}
	}
	if c.bad || stored > len(c.rest) {
		return 0, 0, rowsDiffer(stored, len(c.rest))
	}
	return int(n), stored, nil
}

func rowsDiffer(stored, there int) error {
	return fmt.Errorf("its rows take %d bytes, and it has %d", stored, there)
}

// rest is the part of a batch that Next has not returned yet.
type rest struct {
	source *readSource
	lens   cursor // the stored lengths of the rows
	data   []byte // their stored bytes
	rows   int
	taken  int // rows that Next has returned
}

// The limits of a part of a batch: a small file can hold many large rows that consist mostly of zeros.
const (
	partRows = 4096
	partSize = 1 << 20 // bytes, or one row
)

// nextPart adds the next rows of the batch to b. They are in the payload, except for rows that need their zeros back.
func (r *Reader) nextPart(b *event.Batch) {
	n, padded := r.rest.measure()
	r.padded = slices.Grow(r.padded[:0], padded)
	b.Rows = slices.Grow(b.Rows, n)
	pad, size := r.padded[:padded], r.rest.source.size
	for range n {
		l := int(r.rest.lens.uvarint())
		row := r.rest.data[:l:l]
		r.rest.data = r.rest.data[l:]
		if l < size {
			clear(pad[copy(pad[:size], row):size])
			row, pad = pad[:size:size], pad[size:]
		}
		b.Rows = append(b.Rows, row)
	}
	for i := range r.rest.source.columns {
		r.rest.source.columns[i].fill(b, r.rest.taken)
	}
	r.rest.rows -= n
	r.rest.taken += n
	b.More = r.rest.rows > 0
	b.Continues = b.More && !b.Schema.Single
}

// measure returns how many rows the next part has, and how many bytes the rows that are stored short take.
func (r *rest) measure() (rows, padded int) {
	lens := r.lens
	for full := 0; rows < min(r.rows, partRows); rows++ {
		l := int(lens.uvarint())
		full += max(l, r.source.size)
		if full > partSize && rows > 0 {
			break
		}
		if l < r.source.size {
			padded += r.source.size
		}
	}
	return rows, padded
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

// take returns the next n bytes, without spare capacity; nil if they are not there.
func (c *cursor) take(n uint64) []byte {
	if n > uint64(len(c.rest)) {
		c.bad, c.rest = true, nil
		return nil
	}
	p := c.rest[:n:n]
	c.rest = c.rest[n:]
	return p
}

// finish returns an error unless the payload held exactly what was read.
func (c *cursor) finish() error {
	if c.bad {
		return errShort
	}
	if len(c.rest) > 0 {
		return fmt.Errorf("%d bytes too many", len(c.rest))
	}
	return nil
}
