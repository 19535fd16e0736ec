// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package container

import (
	"math/bits"
	"sync/atomic"

	"github.com/gizmo-ebpf/gizmo/event"
)

// owners finds the owner of a namespace by its inode number. Finding takes no lock; one goroutine at a time may change it.
//
// The kernel reuses the number of a namespace that is gone, so a number may have several owners, one
// after the other.
type owners struct {
	table atomic.Pointer[ownerTable] // nil: there are none
	used  int                        // slots that have a key
}

// ownerTable is a hash table with open addressing. A slot keeps its key until the table is rebuilt.
type ownerTable struct {
	shift uint
	slots []ownerSlot
}

type ownerSlot struct {
	key  atomic.Uint64
	last atomic.Pointer[owner] // the newest owner
}

// owner never changes, except for its end.
type owner struct {
	handle event.Handle
	id     string       // of the container
	from   int64        // when it began to own the number, in nanoseconds since boot
	to     atomic.Int64 // when it stopped owning it; 0: it still does
	older  *owner
}

// find returns the handle of the number's owner at a time since boot in nanoseconds; 0: none is known. A time
// of 0 means the newest owner.
func (o *owners) find(key uint64, at int64) event.Handle {
	f := finder{owners: o}
	return f.find(key, at)
}

// finder finds owners for one goroutine. It keeps the slot of the last number, since the next event is often of the same one.
type finder struct {
	owners *owners
	table  *ownerTable
	slot   *ownerSlot // of key in table, or the empty slot for it; nil: there is none
	key    uint64
}

// find does what owners.find does.
func (f *finder) find(key uint64, at int64) event.Handle {
	if key != f.key || f.owners.table.Load() != f.table {
		f.move(key)
	}
	if f.slot == nil {
		return 0
	}
	if used := f.slot.key.Load(); used != key {
		if used == 0 {
			return 0
		}
		if f.move(key); f.slot.key.Load() != key { // another number has taken the empty slot
			return 0
		}
	}
	own := f.slot.last.Load()
	if own != nil && own.from <= at && own.to.Load() == 0 {
		return own.handle
	}
	return own.at(at)
}

// move finds the slot of a number.
func (f *finder) move(key uint64) {
	f.table, f.key, f.slot = f.owners.table.Load(), key, nil
	if f.table != nil && key != 0 {
		f.slot = f.table.slot(key)
	}
}

// at returns the handle of the owner at a time, in the chain that begins with own.
func (own *owner) at(at int64) event.Handle {
	if at == 0 && own != nil {
		return own.handle
	}
	for ; own != nil; own = own.older {
		if own.from > at {
			continue
		}
		if to := own.to.Load(); to != 0 && at > to {
			return 0
		}
		return own.handle
	}
	return 0
}

// slot returns the slot of key, or the empty slot for it.
func (t *ownerTable) slot(key uint64) *ownerSlot {
	const golden = 0x9e3779b97f4a7c15 // 2^64 divided by the golden ratio spreads numbers that are close together
	mask := len(t.slots) - 1
	for i := int(key * golden >> t.shift); ; i = (i + 1) & mask {
		if k := t.slots[i].key.Load(); k == key || k == 0 {
			return &t.slots[i]
		}
	}
}

// minSlots is the number of slots of the smallest table.
const minSlots = 64

func newOwnerTable(entries int) *ownerTable {
	n := max(minSlots, 1<<bits.Len(uint(2*entries)))
	return &ownerTable{shift: 64 - uint(bits.Len(uint(n-1))), slots: make([]ownerSlot, n)}
}

// set replaces the chain of owners of a number.
func (o *owners) set(key uint64, last *owner) {
	if key == 0 {
		return
	}
	t := o.table.Load()
	if t == nil || 2*(o.used+1) > len(t.slots) {
		t = o.rebuild(t)
	}
	slot := t.slot(key)
	if slot.key.Load() == 0 {
		if last == nil {
			return
		}
		o.used++
	}
	slot.last.Store(last) // before the key, so that a reader finds both
	slot.key.Store(key)
}

// rebuild makes a table with room, without the keys that have no owner any more.
func (o *owners) rebuild(old *ownerTable) *ownerTable {
	live := 0
	if old != nil {
		for i := range old.slots {
			if old.slots[i].last.Load() != nil {
				live++
			}
		}
	}
	t := newOwnerTable(2*live + minSlots/4)
	o.used = live
	if old != nil {
		for i := range old.slots {
			if last := old.slots[i].last.Load(); last != nil {
				key := old.slots[i].key.Load()
				slot := t.slot(key)
				slot.last.Store(last)
				slot.key.Store(key)
			}
		}
	}
	o.table.Store(t)
	return t
}

// chain returns the owners of a number, the newest first.
func (o *owners) chain(key uint64) (list []*owner) {
	t := o.table.Load()
	if t == nil || key == 0 {
		return nil
	}
	if slot := t.slot(key); slot.key.Load() == key {
		for own := slot.last.Load(); own != nil; own = own.older {
			list = append(list, own)
		}
	}
	return list
}

// link makes a chain of copies of the owners, the newest first.
func link(list []*owner) (last *owner) {
	for i := len(list) - 1; i >= 0; i-- {
		c := &owner{handle: list[i].handle, id: list[i].id, from: list[i].from, older: last}
		c.to.Store(list[i].to.Load())
		last = c
	}
	return last
}
