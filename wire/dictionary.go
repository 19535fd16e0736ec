// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/symbol"
	"github.com/gizmo-ebpf/gizmo/wire/internal/stackdict"
)

// The cost of the values of a handle, which counts against the limits: costOfHandle for the handle,
// costOfText and its bytes for each text, costOfBits for each number. It approximates the memory that a reader needs.
const (
	costOfHandle = 16
	costOfText   = 24
	costOfBits   = 8
)

// readColumn is the Reader's side of a column.
type readColumn struct {
	column event.Column
	tables []*table      // of the fields that have values
	stacks *symbol.Table // of its handles; nil: they have none
	// The handles of the recording begin with 1 after each restart. The handles that the Reader gives out continue
	// from base, so that the value of a handle never changes.
	generation uint64
	base       event.Handle
	n          uint32 // handles of this generation
	runs       runs   // of the current batch that were not handed out yet; none if it has no handles of this column
}

// enter begins a generation.
func (c *readColumn) enter(generation uint64) {
	if c.generation != generation {
		c.base += event.Handle(c.n)
		c.n, c.generation = 0, generation
	}
}

// dictionaries holds the values of all columns that a Reader has read.
type dictionaries struct {
	generation uint64 // the number of restarts
	cost       int    // of the values of this generation
	kept       int    // the number of earlier generations whose values are kept
	flush      bool   // the caller releases all rows at a restart, and needs their values until then
	flushing   bool   // the caller was asked to do so
	texts      arena  // of this generation
	stacks     stackdict.Decoder
	// touched are the tables that got values, by generation: the current one is the last.
	touched [][]*table
}

// restart begins a new generation and forgets the values of the oldest one.
func (d *dictionaries) restart() {
	d.generation++
	d.cost, d.texts = 0, arena{}
	d.stacks.Restart()
	d.touched = append(d.touched, nil)
	if d.flushing = d.flush; !d.flushing {
		d.forget(d.kept)
	}
}

// forget forgets the values of all generations except the current one and the given number before it.
func (d *dictionaries) forget(kept int) {
	n := max(len(d.touched)-1-kept, 0)
	for _, tables := range d.touched[:n] {
		for _, t := range tables {
			t.dropOldest()
		}
	}
	d.touched = slices.Delete(d.touched, 0, n)
}

// forgetFlushed forgets the values of rows that the caller has released.
func (d *dictionaries) forgetFlushed() {
	if d.flushing {
		d.flushing = false
		d.forget(0)
	}
}

// decodeDictionary reads values of a column.
func (r *Reader) decodeDictionary(f *frame) error {
	c := f.cursor()
	source, number, n := c.uvarint(), c.uvarint(), c.uvarint()
	if c.bad || source >= uint64(len(r.sources)) {
		return fmt.Errorf("it is of data source %d, and there are %d", source, len(r.sources))
	}
	columns := r.sources[source].columns
	if number >= uint64(len(columns)) {
		return fmt.Errorf("it is of column %d, and there are %d", number, len(columns))
	}
	col := &columns[number]
	col.enter(r.values.generation)
	if n == 0 {
		return errors.New("it has no values")
	}
	if n > uint64(c.left()) || uint64(col.base)+uint64(col.n)+n > math.MaxUint32 {
		return fmt.Errorf("it has values for %d handles, which is too many", n)
	}
	r.values.open(col)
	for range n {
		if err := r.values.decodeEntry(&c, col); err != nil {
			return err
		}
	}
	if err := c.finish(); err != nil {
		return err
	}
	col.n += uint32(n)
	for _, t := range col.tables {
		t.publish(r.values.texts.blocks)
	}
	return nil
}

// open makes the tables of a column ready for values of the current generation.
func (d *dictionaries) open(col *readColumn) {
	for _, t := range col.tables {
		if last := len(d.touched) - 1; t.open(d.generation, col.base+1) {
			d.touched[last] = append(d.touched[last], t)
		}
	}
}

// decodeEntry reads the values of one handle.
func (d *dictionaries) decodeEntry(c *cursor, col *readColumn) error {
	cost := costOfHandle
	for _, t := range col.tables {
		if t.isText {
			place, size := d.texts.take(c)
			cost += costOfText + size
			t.more = append(t.more, place)
		} else {
			cost += costOfBits
			t.more = append(t.more, c.u64())
		}
	}
	if c.bad {
		return errShort
	}
	d.cost += cost
	if cost > maxEntry {
		return fmt.Errorf("the values of a handle count for %d bytes; the limit is %d", cost, maxEntry)
	}
	if d.cost > maxValues {
		return fmt.Errorf("the values count for more than %d bytes, the limit without a restart", maxValues)
	}
	return nil
}

// decodeRestart reads a restart: the handles count from 1 again. If the caller keeps rows, b asks for them.
func (r *Reader) decodeRestart(payload []byte, b *event.Batch) error {
	if len(payload) > 0 {
		return errors.New("it should be empty")
	}
	r.values.restart()
	if !r.values.flushing {
		return nil
	}
	// For a data source of arrays, a batch without rows is an event.
	i := slices.IndexFunc(r.schemas, func(s *event.Schema) bool { return s.Single })
	if i < 0 {
		r.values.forgetFlushed() // a caller keeps no array when it asks for the next one
		return nil
	}
	b.Reset(r.schemas[i])
	b.Flush = true
	return nil
}
