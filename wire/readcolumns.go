// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"fmt"
	"math/bits"
	"slices"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/symbol"
)

// open returns a data source for the header, with columns whose values the Reader will
// have, and the Reader's side of it. Data sources that share a description share nothing else.
func (d *description) open() (DataSource, readSource) {
	s := *d.schema
	s.Fields = slices.Clone(s.Fields)
	source := readSource{size: int(s.Size)}
	for i := 0; i < len(d.added); {
		n := 1
		for i+n < len(d.added) && d.added[i+n].Column == d.added[i].Column {
			n++
		}
		group := d.added[i : i+n]
		i += n
		if group[0].Column > 0 {
			source.columns = append(source.columns, addColumn(&s, group))
			continue
		}
		for j := range group {
			s.Add(group[j].field())
		}
	}
	return DataSource{Schema: &s, Annotations: d.annotations}, source
}

// addColumn adds a column with the given fields to s.
func addColumn(s *event.Schema, added []addedField) readColumn {
	var c readColumn
	fields := make([]event.Field, len(added))
	for i := range added {
		fields[i] = added[i].field()
		if added[i].hasValue() {
			t := &table{isText: isText(added[i].Kind)}
			c.tables = append(c.tables, t)
			fields[i].Table = t
			if format := added[i].Stack; format.IsKnown() {
				if c.stacks == nil {
					c.stacks = new(symbol.Table)
					t.stacks = c.stacks
				}
				fields[i].Table = symbol.NewText(c.stacks, format, 0) // a recording may have very many such fields
			}
		}
	}
	c.column = s.AddColumn(fields...)
	return c
}

func (f *addedField) field() event.Field {
	return event.Field{Name: f.Name, Kind: f.Kind, Types: f.Types, Parent: f.Parent, Enum: f.Enum}
}

// checkColumns checks the handles at the end of the payload of a batch with the given number of rows. Later, fill reads them.
func (r *Reader) checkColumns(c *cursor, source *readSource, rows int) error {
	set := c.uvarint()
	if bits.Len64(set) > len(source.columns) {
		return fmt.Errorf("it has handles of column %d, and there are %d", bits.Len64(set)-1, len(source.columns))
	}
	if n := bits.OnesCount64(set) * rows; n > maxHandles {
		return tooMany(n, "handles", maxHandles)
	}
	for i := range source.columns {
		col := &source.columns[i]
		if col.runs = (runs{}); set&(1<<i) == 0 {
			continue
		}
		col.enter(r.values.generation)
		all := runs{in: c.fork(), rows: rows}
		for col.runs = (runs{in: *c, rows: rows}); col.runs.rows > 0; {
			if err := col.nextRun(); err != nil {
				return fmt.Errorf("column %d: %w", i, err)
			}
			col.runs.rows -= col.runs.length
		}
		*c, col.runs = col.runs.in, all
	}
	return c.finish()
}

// runs are the runs of equal handles that a batch has of a column.
type runs struct {
	in     cursor
	rows   int // the rows that are left, including those of the current run
	length int // the rows that are left of the current run
	handle event.Handle
}

// fill gives the rows of b, the next part of the batch, their handles.
func (c *readColumn) fill(b *event.Batch) {
	if c.runs.rows == 0 {
		return
	}
	for handles := c.column.Fill(b); len(handles) > 0; {
		if c.runs.length == 0 && c.nextRun() != nil { // checkColumns has read all runs before
			return
		}
		n := min(c.runs.length, len(handles))
		if c.runs.handle > 0 {
			for i := range handles[:n] {
				handles[i] = c.runs.handle
			}
		}
		handles = handles[n:]
		c.runs.length -= n
		c.runs.rows -= n
	}
}

// nextRun reads the next run.
func (c *readColumn) nextRun() error {
	r := &c.runs
	v := r.in.uvarint()
	length := uint64(1)
	if v&1 != 0 { // a run
		length = r.in.uvarint() + 1
		if length == 1 {
			length = uint64(r.rows)
		}
	}
	if r.in.bad {
		return errShort
	}
	if length == 0 || length > uint64(r.rows) {
		return fmt.Errorf("a run that goes beyond the last row")
	}
	h := v >> 1
	if h > uint64(c.n) {
		return fmt.Errorf("the handle %d, and there are values up to %d", h, c.n)
	}
	r.length, r.handle = int(length), 0
	if h > 0 {
		r.handle = c.base + event.Handle(h)
	}
	return nil
}

// decodeStacks reads stacks of handles.
func (r *Reader) decodeStacks(payload []byte) error {
	d := &r.values
	cost, err := d.stacks.Decode(payload, maxValues-d.cost, func(source, column, handle uint64, s *symbol.Stack) error {
		if source >= uint64(len(r.sources)) || column >= uint64(len(r.sources[source].columns)) {
			return fmt.Errorf("a stack of column %d of data source %d", column, source)
		}
		col := &r.sources[source].columns[column]
		col.enter(d.generation)
		if handle == 0 || handle > uint64(col.n) {
			return fmt.Errorf("a stack of the handle %d, and there are values up to %d", handle, col.n)
		}
		if col.stacks != nil {
			col.stacks.Put(col.base+event.Handle(handle), s)
		}
		return nil
	})
	d.cost += cost
	return err
}
