// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"fmt"
	"slices"

	"github.com/gizmo-ebpf/gizmo/event"
)

// decodeBatch fills b with the first part of the batch in a frame's payload.
func (r *Reader) decodeBatch(f *frame, b *event.Batch) error {
	c := f.cursor()
	number := c.uvarint()
	if c.bad || number >= uint64(len(r.sources)) {
		return fmt.Errorf("it is of data source %d, and there are %d", number, len(r.sources))
	}
	source := &r.sources[number]
	b.Reset(r.schemas[number])
	if err := decodeLosses(&c, b); err != nil {
		return err
	}
	all := rest{source: source, frame: *f, lens: c.fork()}
	n, stored, err := checkLens(&c, source.size)
	if err != nil {
		return err
	}
	if len(source.columns) == 0 && stored < c.left() {
		return rowsDiffer(stored, c.left())
	}
	all.lens.uvarint() // the number of rows
	all.data, all.rows = c.fork(), n
	if len(source.columns) > 0 {
		c.skip(uint64(stored))
		if err := r.checkColumns(&c, source, n); err != nil {
			return err
		}
	}
	source.total.add(n, b.Lost)
	r.current, r.rest = b.Schema, all
	return r.nextPart(b)
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
	if n > maxBatchRows || n > uint64(c.left()) {
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
	if c.bad || stored > c.left() {
		return 0, 0, rowsDiffer(stored, c.left())
	}
	return int(n), stored, nil
}

func rowsDiffer(stored, there int) error {
	return fmt.Errorf("its rows take %d bytes, and it has %d", stored, there)
}

// rest is the part of a batch that Next has not returned yet.
type rest struct {
	source *readSource
	frame  frame
	lens   cursor // the stored lengths of the rows
	data   cursor // their stored bytes
	rows   int
	next   int // the stored length of the next row, if it was read ahead
	ahead  bool
}

// The limits of a part of a batch: a small file can hold many large rows that consist mostly of zeros.
const (
	partRows = 4096
	partSize = 1 << 20 // bytes, or one row
)

// nextPart adds the next rows of the batch to b. They are in the payload, except for rows that need their zeros back, and
// rows of a large payload.
func (r *Reader) nextPart(b *event.Batch) error {
	room := r.measure()
	n := len(r.lens)
	r.room = slices.Grow(r.room[:0], room)
	b.Rows = slices.Grow(b.Rows, n)
	free, size, data := r.room[:room], r.rest.source.size, &r.rest.data
	for _, l := range r.lens {
		if l >= size && data.more == nil {
			b.Rows = append(b.Rows, data.take(uint64(l)))
			continue
		}
		full := max(l, size)
		row := free[:full:full]
		free = free[full:]
		data.read(row[:l])
		clear(row[l:])
		b.Rows = append(b.Rows, row)
	}
	for i := range r.rest.source.columns {
		r.rest.source.columns[i].fill(b)
	}
	r.rest.rows -= n
	b.More = r.rest.rows > 0
	b.Continues = b.More && !b.Schema.Single
	if l := r.rest.frame.large; l != nil && l.err != nil {
		return l.err
	}
	return nil
}

// measure reads the lengths of the rows of the next part. It returns how many bytes the rows take that are copied.
func (r *Reader) measure() (room int) {
	r.lens = r.lens[:0]
	rest := &r.rest
	full := 0
	for len(r.lens) < min(rest.rows, partRows) {
		if !rest.ahead {
			rest.next, rest.ahead = int(rest.lens.uvarint()), true
		}
		l := max(rest.next, rest.source.size)
		if full += l; full > partSize && len(r.lens) > 0 {
			break
		}
		if rest.next < rest.source.size || rest.data.more != nil {
			room += l
		}
		r.lens = append(r.lens, rest.next)
		rest.ahead = false
	}
	return room
}
