// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"fmt"
	"math/bits"
	"slices"

	"github.com/gizmo-ebpf/gizmo/event"
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
		}
	}
	c.column = s.AddColumn(fields...)
	return c
}

func (f *addedField) field() event.Field {
	return event.Field{Name: f.Name, Kind: f.Kind, Types: f.Types, Parent: f.Parent, Enum: f.Enum}
}

// decodeColumns reads the handles of a batch with the given number of rows from the end of its payload.
func (r *Reader) decodeColumns(c *cursor, source *readSource, rows int) error {
	set := c.uvarint()
	if bits.Len64(set) > len(source.columns) {
		return fmt.Errorf("it has handles of column %d, and there are %d", bits.Len64(set)-1, len(source.columns))
	}
	if n := bits.OnesCount64(set) * rows; n > maxHandles {
		return tooMany(n, "handles", maxHandles)
	}
	for i := range source.columns {
		col := &source.columns[i]
		col.handles = col.handles[:0]
		if set&(1<<i) == 0 {
			continue
		}
		col.enter(r.values.generation)
		col.handles = slices.Grow(col.handles, rows)[:rows]
		clear(col.handles)
		if err := col.decode(c, col.handles); err != nil {
			return fmt.Errorf("column %d: %w", i, err)
		}
	}
	return c.finish()
}

// fill gives the rows of b their handles. They are the rows of the batch beginning at index from.
func (c *readColumn) fill(b *event.Batch, from int) {
	if len(c.handles) > 0 {
		copy(c.column.Fill(b), c.handles[from:])
	}
}

// decode reads a column's runs of equal handles in a batch, and fills handles, which are 0.
func (c *readColumn) decode(in *cursor, handles []event.Handle) error {
	for i := 0; i < len(handles); {
		v := in.uvarint()
		length := uint64(1)
		if v&1 != 0 { // a run
			length = in.uvarint() + 1
			if length == 1 {
				length = uint64(len(handles) - i)
			}
		}
		if in.bad {
			return errShort
		}
		if length == 0 || length > uint64(len(handles)-i) {
			return fmt.Errorf("a run that goes beyond the last row")
		}
		h := v >> 1
		if h > uint64(c.n) {
			return fmt.Errorf("the handle %d, and there are values up to %d", h, c.n)
		}
		if h > 0 {
			run := handles[i : i+int(length)]
			for j := range run {
				run[j] = c.base + event.Handle(h)
			}
		}
		i += int(length)
	}
	return nil
}
