// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"math"
	"slices"
	"sort"
	"sync/atomic"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/symbol"
)

// table is the event.Table of one field of a recorded column. The Reader adds values to it; any goroutine may read
// it at the same time without a lock.
type table struct {
	isText bool
	parts  atomic.Pointer[[]*part] // in the order of their handles
	// next is the part that the Reader adds to, and what it has added.
	next *part
	more []uint64
	// stacks are those of the handles, if the field is a text of them; else nil.
	stacks *symbol.Table
}

// part has the values of one generation of handles: those between two restarts of the dictionaries.
type part struct {
	generation uint64
	first      event.Handle
	values     atomic.Pointer[values]
}

// values are the values of the handles beginning with first. Elements that were published are never written again, so
// that lists of different lengths can share an array.
type values struct {
	bits  []uint64 // numbers, or the places of texts
	texts [][]byte // the blocks of the arena that has the texts
}

// Bytes implements event.Table.
func (t *table) Bytes(h event.Handle) []byte {
	if p := t.partOf(h); p != nil && t.isText {
		if v := p.values.Load(); int(h-p.first) < len(v.bits) {
			return textAt(v.texts, v.bits[h-p.first])
		}
	}
	return nil
}

// Bits implements event.Table.
func (t *table) Bits(h event.Handle) uint64 {
	if p := t.partOf(h); p != nil && !t.isText {
		if v := p.values.Load(); int(h-p.first) < len(v.bits) {
			return v.bits[h-p.first]
		}
	}
	return 0
}

// arena holds the texts of a generation. A place identifies a text: it takes less memory than a slice, and many texts are short.
type arena struct {
	blocks [][]byte
	used   int // of the last one
}

// A place is the number of a block, where the text begins in it, and its length + 1; 0 stands for no text.
const (
	lengthBits = 19 // up to maxEntry
	startBits  = 22
	minBlock   = 16 << 10
	maxBlock   = 1 << startBits
)

// take copies the next text of c, whose length + 1 comes first, or 0 if there is none. It returns its place and its length. A text that
// is longer than any may be is left out.
func (a *arena) take(c *cursor) (place uint64, size int) {
	n := c.uvarint()
	if n == 0 {
		return 0, 0
	}
	if n--; n > maxEntry {
		c.skip(n)
		return 0, int(min(n, math.MaxInt32))
	}
	if n > uint64(c.left()) {
		c.fail()
		return 0, 0
	}
	last := len(a.blocks) - 1
	if last < 0 || len(a.blocks[last])-a.used < int(n) {
		size := minBlock
		if last >= 0 {
			size = min(2*len(a.blocks[last]), maxBlock)
		}
		a.blocks, a.used = append(a.blocks, make([]byte, max(size, int(n)))), 0
		last++
	}
	start := a.used
	a.used += int(n)
	c.read(a.blocks[last][start:a.used])
	return uint64(last)<<(startBits+lengthBits) | uint64(start)<<lengthBits | (n + 1), int(n)
}

// textAt returns the text at a place; nil if there is none.
func textAt(blocks [][]byte, place uint64) []byte {
	if place == 0 {
		return nil
	}
	start := place >> lengthBits & (maxBlock - 1)
	end := start + place&(1<<lengthBits-1) - 1
	return blocks[place>>(startBits+lengthBits)][start:end:end]
}

// partOf returns the part that has h, if any part has it. It is nearly always the last one.
func (t *table) partOf(h event.Handle) *part {
	list := t.parts.Load()
	if list == nil || len(*list) == 0 {
		return nil
	}
	parts := *list
	if last := parts[len(parts)-1]; h >= last.first {
		return last
	}
	after := sort.Search(len(parts), func(i int) bool { return parts[i].first > h })
	if after == 0 {
		return nil
	}
	return parts[after-1]
}

// open makes the table ready for values of a generation. It returns false if it is already.
func (t *table) open(generation uint64, first event.Handle) bool {
	if t.next != nil && t.next.generation == generation {
		return false
	}
	t.next, t.more = &part{generation: generation, first: first}, nil
	if t.stacks != nil {
		t.stacks.Open()
	}
	return true
}

// publish makes the values in t.more visible. The blocks have the texts.
func (t *table) publish(blocks [][]byte) {
	more := &values{bits: t.more}
	if t.isText {
		more.texts = blocks
	}
	isNew := t.next.values.Swap(more) == nil
	if !isNew {
		return
	}
	var parts []*part
	if old := t.parts.Load(); old != nil {
		parts = *old
	}
	parts = append(parts, t.next)
	t.parts.Store(&parts)
}

// dropOldest forgets the values of the oldest part.
func (t *table) dropOldest() {
	if parts := t.parts.Load(); parts != nil && len(*parts) > 0 {
		rest := slices.Clone((*parts)[1:])
		t.parts.Store(&rest)
		if t.stacks != nil {
			t.stacks.DropOldest()
		}
	}
}
