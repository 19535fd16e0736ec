// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/symbol"
	"github.com/gizmo-ebpf/gizmo/wire/internal/stackdict"
)

// softValues is the cost of values at which a Writer restarts the dictionaries, before its next batch. It bounds the
// memory of the Writer, and is less than maxValues, so that a batch with many new values finds room for them.
const softValues = maxValues / 2

// writtenColumn is the writer's side of a column.
type writtenColumn struct {
	column event.Column
	fields []writtenField
	// known maps the handles of the stage that fills the column to the handles of the recording. These begin with 1
	// after each restart.
	known map[event.Handle]uint32
	n     uint32
	// pending are the values of the last pendingN handles, which are still to be written.
	pending  []byte
	pendingN int

	// stacks has the stacks of the handles; nil if they have none. place is where they are in the recording.
	stacks symbol.Stacks
	place  stackdict.Place

	in   []event.Handle // of the current batch; nil for none
	rows []uint32       // the same as handles of the recording
	// last is the last handle that was looked up, and its handle in the recording.
	last        event.Handle
	lastWritten uint32
}

// writtenField is a field that has values.
type writtenField struct {
	table  event.Table
	isText bool
}

func newWrittenColumns(source int, s *event.Schema) []writtenColumn {
	list := recordedColumns(s)
	columns := make([]writtenColumn, len(list))
	for i, c := range list {
		columns[i] = writtenColumn{column: c, known: make(map[event.Handle]uint32), place: stackdict.Place{Source: source, Column: i}}
		for j := range s.Fields {
			f := &s.Fields[j]
			if of, _ := f.Column(); of == c && inColumn(f) {
				columns[i].add(f)
			}
		}
	}
	return columns
}

func (c *writtenColumn) add(f *event.Field) {
	c.fields = append(c.fields, writtenField{table: f.Table, isText: isText(f.Kind)})
	if text, ok := f.Table.(*symbol.Text); ok {
		c.stacks = text
		c.fields[len(c.fields)-1].table = symbol.NoText{} // readers make the text themselves
	}
}

// columnFields returns the fields of s that have values from the given columns.
func columnFields(s *event.Schema, columns []event.Column) (set event.FieldSet) {
	for i := range s.Fields {
		f := &s.Fields[i]
		if c, _ := f.Column(); inColumn(f) && slices.Contains(columns, c) {
			set.Add(i)
		}
	}
	return set
}

// translate translates the handles of at most n rows, beginning with row from, to handles of the recording. It returns the number
// of rows. The rows of an array are translated all at once or not at all.
func (w *Writer) translate(s *writtenSource, b *event.Batch, from, n int) (int, error) {
	if w.cost > softValues {
		w.restart()
	}
	present := s.takeHandles(b)
	if n*present > maxHandles {
		if !b.Schema.Single {
			return 0, fmt.Errorf("an array of %d rows with handles in %d columns is too large for a frame", n, present)
		}
		n = maxHandles / present
	}
	for range 2 {
		done, err := w.translateRows(s, from, n)
		if err == nil && (done == n || done > 0 && b.Schema.Single) {
			return done, nil
		}
		w.restart() // also forgets the values that were not written
		if err != nil {
			return 0, err
		}
	}
	return 0, fmt.Errorf("an array with values of more than %d bytes in its columns is too large", maxValues)
}

// takeHandles takes the handles of b, and returns how many columns have handles.
func (s *writtenSource) takeHandles(b *event.Batch) (present int) {
	for i := range s.columns {
		c := &s.columns[i]
		if c.in = c.column.Handles(b); c.in != nil {
			present++
		}
	}
	return present
}

// translateRows translates row by row, because there may not be room for the values of all. It returns the number of rows that
// it translated.
func (w *Writer) translateRows(s *writtenSource, from, n int) (int, error) {
	for i := range s.columns {
		c := &s.columns[i]
		c.rows = slices.Grow(c.rows[:0], n)
	}
	for row := from; row < from+n; row++ {
		for i := range s.columns {
			c := &s.columns[i]
			if c.in == nil {
				continue
			}
			h := event.Handle(0)
			if row < len(c.in) {
				h = c.in[row]
			}
			if h != c.last {
				written, ok, err := w.lookUp(c, h)
				if !ok {
					return row - from, err
				}
				c.last, c.lastWritten = h, written
			}
			c.rows = append(c.rows, c.lastWritten)
		}
	}
	return n, nil
}

// lookUp returns the handle of h in the recording. It returns false if there is no room for its values without a restart, or
// not even after one.
func (w *Writer) lookUp(c *writtenColumn, h event.Handle) (written uint32, ok bool, err error) {
	if h == 0 {
		return 0, true, nil
	}
	if written, ok := c.known[h]; ok {
		return written, true, nil
	}
	start := len(c.pending)
	cost := c.appendValues(h)
	if cost > maxEntry {
		err = fmt.Errorf("the values in a column take %d bytes for one handle; the limit is %d", cost, maxEntry)
	}
	var stack *symbol.Stack
	if c.stacks != nil {
		if stack = c.stacks.Stack(h); stack != nil {
			cost += w.stacks.Cost(stack)
		}
	}
	if err != nil || w.cost+cost > maxValues {
		c.pending = c.pending[:start]
		return 0, false, err
	}
	w.cost += cost
	c.pendingN++
	c.n++
	c.known[h] = c.n
	if stack != nil {
		c.place.Handle = c.n
		w.stacks.Add(c.place, stack)
		if w.each != nil {
			w.each(stack)
		}
	}
	return c.n, true, nil
}

// appendValues appends the values of h to the pending ones, and returns their cost.
func (c *writtenColumn) appendValues(h event.Handle) (cost int) {
	cost = costOfHandle
	for _, f := range c.fields {
		if !f.isText {
			c.pending = binary.LittleEndian.AppendUint64(c.pending, f.table.Bits(h))
			cost += costOfBits
			continue
		}
		text := f.table.Bytes(h)
		cost += costOfText + len(text)
		if text == nil {
			c.pending = append(c.pending, 0)
			continue
		}
		c.pending = binary.AppendUvarint(c.pending, uint64(len(text))+1)
		c.pending = append(c.pending, text...)
	}
	return cost
}

// appendDictionaries writes the values and the stacks that are pending.
func (w *Writer) appendDictionaries(source int) {
	for i := range w.sources[source].columns {
		c := &w.sources[source].columns[i]
		if c.pendingN == 0 {
			continue
		}
		size := uvarintLen(uint64(source)) + uvarintLen(uint64(i)) + uvarintLen(uint64(c.pendingN)) + len(c.pending)
		start := w.begin(frameDictionary, size)
		w.buf = binary.AppendUvarint(w.buf, uint64(source))
		w.buf = binary.AppendUvarint(w.buf, uint64(i))
		w.buf = binary.AppendUvarint(w.buf, uint64(c.pendingN))
		w.buf = append(w.buf, c.pending...)
		w.finish(start)
		c.dropPending()
	}
	for _, payload := range w.stacks.Take() {
		start := w.begin(frameStacks, len(payload))
		w.buf = append(w.buf, payload...)
		w.finish(start)
	}
}

// dropPending forgets the pending values. It releases the memory if there is much of it: that was needed for a
// moment with many new values.
func (c *writtenColumn) dropPending() {
	c.pending, c.pendingN = c.pending[:0], 0
	if cap(c.pending) > flushSize {
		c.pending = nil
	}
}

// restart makes the handles of all columns count from 1 again.
func (w *Writer) restart() {
	w.cost = 0
	for i := range w.sources {
		for j := range w.sources[i].columns {
			c := &w.sources[i].columns[j]
			clear(c.known)
			c.dropPending()
			c.n, c.last, c.lastWritten = 0, 0, 0
		}
	}
	w.stacks.Restart()
	w.finish(w.begin(frameRestart, 0))
}

// encodeColumns fills w.columns with the encoded handles of the first n rows that were translated.
func (w *Writer) encodeColumns(s *writtenSource, n int) {
	set := uint64(0)
	for i := range s.columns {
		if c := &s.columns[i]; c.in != nil && slices.ContainsFunc(c.rows[:n], isHandle) {
			set |= 1 << i
		}
	}
	w.columns = binary.AppendUvarint(w.columns[:0], set)
	for i := range s.columns {
		if set&(1<<i) != 0 {
			w.columns = appendRuns(w.columns, s.columns[i].rows[:n])
		}
	}
}

func isHandle(h uint32) bool { return h != 0 }

// appendRuns appends handles as runs of equal ones.
func appendRuns(dst []byte, handles []uint32) []byte {
	for i := 0; i < len(handles); {
		h := uint64(handles[i])
		n := 1
		for i+n < len(handles) && handles[i+n] == handles[i] {
			n++
		}
		i += n
		switch {
		case n == 1:
			dst = binary.AppendUvarint(dst, h<<1)
		case i == len(handles):
			dst = append(binary.AppendUvarint(dst, h<<1|1), 0)
		default:
			dst = binary.AppendUvarint(binary.AppendUvarint(dst, h<<1|1), uint64(n-1))
		}
	}
	return dst
}
