// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package event

import (
	"sync"
	"sync/atomic"
)

// Handle is what a stage found out about a row: an index into the tables of a column's fields.
// 0 means that the stage found nothing.
type Handle uint32

// Table gives the values of the handles of a column. The value of a handle never changes. Several
// goroutines read a Table at once while its owner adds values. Readers never ask for the handle 0.
type Table interface {
	// Bytes returns the value of h for a field of the kind String or Bytes. The caller must not change it.
	// Nil: this field has no value for the handle.
	Bytes(h Handle) []byte
	// Bits returns the value of h for a field of any other kind: a number in 64 bits (two's complement, or
	// IEEE 754), a boolean as 0 or 1.
	Bits(h Handle) uint64
}

// Column holds, for each row, the handle that a stage found. [Schema.AddColumn] makes it.
type Column struct{ index int }

// Fill makes room for the handles of all rows of b, sets them to 0, and returns them for the stage to set. A
// stage calls it for each batch in which it found something.
func (c Column) Fill(b *Batch) []Handle {
	b.growColumns(c.index + 1)
	col := b.columns[c.index]
	if cap(col) < len(b.Rows) {
		col = make([]Handle, len(b.Rows), cap(b.Rows))
	}
	col = col[:len(b.Rows)]
	clear(col)
	b.columns[c.index] = col
	return col
}

// Handles returns the handles of the rows of b; nil if the stage found nothing about any of them.
func (c Column) Handles(b *Batch) []Handle {
	if c.index >= len(b.columns) || len(b.columns[c.index]) == 0 {
		return nil
	}
	return b.columns[c.index]
}

// At returns the handle of a row.
func (c Column) At(b *Batch, row int) Handle {
	if c.index < len(b.columns) {
		if col := b.columns[c.index]; row < len(col) {
			return col[row]
		}
	}
	return 0
}

// Texts is a [Table] of texts. It keeps each text once. It grows with the number of different texts, so it
// is for texts with few different values: names, not arguments. The zero value is empty. All methods may be called by
// several goroutines at once.
type Texts struct {
	mu      sync.Mutex
	handles map[string]Handle
	values  atomic.Pointer[[][]byte]
}

// Handle returns the handle of a text, which is 0 for an empty one.
func (t *Texts) Handle(text string) Handle {
	if text == "" {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if h, ok := t.handles[text]; ok {
		return h
	}
	if t.handles == nil {
		t.handles = make(map[string]Handle)
	}
	h := Handle(add(&t.values, []byte(text)))
	t.handles[text] = h
	return h
}

// Bytes implements [Table].
func (t *Texts) Bytes(h Handle) []byte { return at(&t.values, h) }

// Bits implements [Table]. A text has none.
func (t *Texts) Bits(Handle) uint64 { return 0 }

// Numbers is a [Table] of numbers, in the order in which they were added. The zero value is empty. All
// methods may be called by several goroutines at once.
type Numbers struct {
	mu     sync.Mutex
	values atomic.Pointer[[]uint64]
}

// Add returns a handle for the number with these bits: see [Table].
func (n *Numbers) Add(bits uint64) Handle {
	n.mu.Lock()
	defer n.mu.Unlock()
	return Handle(add(&n.values, bits))
}

// Bytes implements [Table]. A number has none.
func (n *Numbers) Bytes(Handle) []byte { return nil }

// Bits implements [Table].
func (n *Numbers) Bits(h Handle) uint64 { return at(&n.values, h) }

// add appends a value for readers that take no lock, and returns its handle. Elements that have been
// published are never written again, so a slice that shares its array with an older one is safe.
func add[T any](list *atomic.Pointer[[]T], value T) int {
	var values []T
	if old := list.Load(); old != nil {
		values = *old
	} else {
		values = make([]T, 1) // the handle 0 has no value
	}
	values = append(values, value)
	list.Store(&values)
	return len(values) - 1
}

func at[T any](list *atomic.Pointer[[]T], h Handle) (value T) {
	if values := list.Load(); values != nil && int(h) < len(*values) {
		return (*values)[h]
	}
	return value
}
