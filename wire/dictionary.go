// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/gizmo-ebpf/gizmo/event"
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
	tables []*table // of the fields that have values
	// The handles of the recording begin with 1 after each restart. The handles that the Reader gives out continue
	// from base, so that the value of a handle never changes.
	generation uint64
	base       event.Handle
	n          uint32 // handles of this generation
	// handles are the handles of the rows of the current batch; empty if it has none of this column.
	handles []event.Handle
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
	keepAll    bool
	// touched are the tables that got values, by generation: the current one is the last.
	touched [][]*table
}

// restart begins a new generation and forgets the values of the oldest one.
func (d *dictionaries) restart() {
	d.generation++
	d.cost = 0
	if d.keepAll {
		d.touched = nil
		return
	}
	d.touched = append(d.touched, nil)
	if len(d.touched) <= keptGenerations+1 {
		return
	}
	for _, t := range d.touched[0] {
		t.dropOldest()
	}
	d.touched = slices.Delete(d.touched, 0, 1)
}

// decodeDictionary reads values of a column.
func (r *Reader) decodeDictionary(payload []byte) error {
	c := cursor{rest: payload}
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
	if n > uint64(len(c.rest)) || uint64(col.base)+uint64(col.n)+n > math.MaxUint32 {
		return fmt.Errorf("it has values for %d handles, which is too many", n)
	}
	r.values.open(col)
	if col.hasText() {
		c.rest = bytes.Clone(c.rest) // where the texts stay
	}
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
		t.publish()
	}
	return nil
}

func (c *readColumn) hasText() bool {
	return slices.ContainsFunc(c.tables, func(t *table) bool { return t.isText })
}

// open makes the tables of a column ready for values of the current generation.
func (d *dictionaries) open(col *readColumn) {
	for _, t := range col.tables {
		if last := len(d.touched) - 1; t.open(d.generation, col.base+1) && !d.keepAll {
			d.touched[last] = append(d.touched[last], t)
		}
	}
}

// decodeEntry reads the values of one handle.
func (d *dictionaries) decodeEntry(c *cursor, col *readColumn) error {
	cost := costOfHandle
	for _, t := range col.tables {
		if t.isText {
			text := c.text()
			cost += costOfText + len(text)
			t.more.texts = append(t.more.texts, text)
		} else {
			cost += costOfBits
			t.more.bits = append(t.more.bits, c.u64())
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

// text reads a text, or nil for none: its length + 1 comes first, or 0.
func (c *cursor) text() []byte {
	n := c.uvarint()
	if n == 0 {
		return nil
	}
	return c.take(n - 1)
}

func (c *cursor) u64() uint64 {
	p := c.take(8)
	if p == nil {
		return 0
	}
	return binary.LittleEndian.Uint64(p)
}

// decodeRestart reads a restart: the handles count from 1 again.
func (r *Reader) decodeRestart(payload []byte) error {
	if len(payload) > 0 {
		return errors.New("it should be empty")
	}
	r.values.restart()
	return nil
}
