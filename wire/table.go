// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"slices"
	"sort"
	"sync/atomic"

	"github.com/gizmo-ebpf/gizmo/event"
)

// table is the event.Table of one field of a recorded column. The Reader adds values to it; any goroutine may read
// it at the same time without a lock.
type table struct {
	isText bool
	parts  atomic.Pointer[[]*part] // in the order of their handles
	// next is the part that the Reader adds to, and what it has added.
	next *part
	more values
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
	texts [][]byte
	bits  []uint64
}

// Bytes implements event.Table.
func (t *table) Bytes(h event.Handle) []byte {
	if p := t.partOf(h); p != nil {
		if v := p.values.Load(); int(h-p.first) < len(v.texts) {
			return v.texts[h-p.first]
		}
	}
	return nil
}

// Bits implements event.Table.
func (t *table) Bits(h event.Handle) uint64 {
	if p := t.partOf(h); p != nil {
		if v := p.values.Load(); int(h-p.first) < len(v.bits) {
			return v.bits[h-p.first]
		}
	}
	return 0
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
	t.next, t.more = &part{generation: generation, first: first}, values{}
	return true
}

// publish makes the values that were added visible.
func (t *table) publish() {
	more := t.more
	isNew := t.next.values.Swap(&more) == nil
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
	}
}
