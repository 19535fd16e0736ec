// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"encoding/binary"
	"slices"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/symbol"
	"github.com/gizmo-ebpf/gizmo/symbol/resolve"
)

const (
	// keptTexts is how many bytes of text a field keeps.
	keptTexts = 1 << 20
	// generationCost is the memory of stacks, in bytes, after which a generation ends, and keptGenerations is how many
	// are kept beside the present one. Rows do not wait in gizmo for as long as that.
	generationCost  = 4 << 20
	keptGenerations = 2
	costOfStack     = 200 // and of its key
	costOfAddress   = 16
)

// column finds the stacks of one field.
type column struct {
	options *Options
	source  Source
	column  event.Column
	stacks  symbol.Table
	user    bool

	// Where the numbers are in a row. id is that of the stack. The others are of the process; missing if the struct has none.
	id                                                 uint32
	inode, modified, boot                              place // 8 bytes each
	modifiedNsec, hash, tgid, namespace, inner, inner2 place // 4 bytes each

	last      event.Handle
	cost      int                     // of the present generation
	known     [2]map[key]event.Handle // of the present generation, and of that before
	older     int                     // generations that the table keeps beside the present one
	addresses []uint64
}

// key identifies a stack: the same addresses have other names in another process.
type key struct{ id, tgid, hash uint32 }

// place is where a member is in a row, plus one; 0: there is no such member.
type place uint32

func (p place) u32(row []byte) uint32 {
	if p == 0 {
		return 0
	}
	return binary.LittleEndian.Uint32(row[p-1:])
}

func (p place) u64(row []byte) uint64 {
	if p == 0 {
		return 0
	}
	return binary.LittleEndian.Uint64(row[p-1:])
}

func newColumn(o *Options) *column {
	c := &column{options: o, known: [2]map[key]event.Handle{{}, {}}}
	c.stacks.Open()
	return c
}

// readUser notes where the members of the struct at index i are. It reports whether there are those that a stack needs.
func (c *column) readUser(s *event.Schema, i int) bool {
	c.user = true
	at := func(name string, size uint32) place {
		j, ok := s.Lookup(s.Fields[i].Name + "." + name)
		if !ok || s.Fields[j].Added || s.Fields[j].Size != size {
			return 0
		}
		return place(s.Fields[j].Off + 1)
	}
	id := at("stack_id", 4)
	c.tgid = at("tgid_level0", 4)
	c.inode, c.modified, c.boot = at("inode", 8), at("mtime_sec", 8), at("boot_timestamp", 8)
	c.modifiedNsec, c.hash = at("mtime_nsec", 4), at("base_addr_hash", 4)
	c.namespace, c.inner, c.inner2 = at("pidns_level0", 4), at("pid_level1", 4), at("pidns_level1", 4)
	if id == 0 || c.tgid == 0 {
		return false
	}
	c.id = uint32(id - 1)
	return true
}

// fill sets the stack of each row.
func (c *column) fill(b *event.Batch) {
	if c.cost > generationCost {
		c.age()
	}
	handles := c.column.Fill(b)
	for i, row := range b.Rows {
		handles[i] = c.find(row)
	}
}

// age begins a generation.
func (c *column) age() {
	c.cost = 0
	c.known[1], c.known[0] = c.known[0], make(map[key]event.Handle, len(c.known[0]))
	c.stacks.Open()
	if c.older++; c.older > keptGenerations {
		c.older--
		c.stacks.DropOldest()
	}
}

// find returns the handle of a row's stack; 0: it has none.
func (c *column) find(row []byte) event.Handle {
	k := key{id: binary.LittleEndian.Uint32(row[c.id:])}
	if int32(k.id) < 0 { // an error
		return 0
	}
	if c.user {
		if k.tgid = c.tgid.u32(row); k.tgid == 0 {
			return 0
		}
		k.hash = c.hash.u32(row)
	}
	if h, ok := c.known[0][k]; ok {
		return h
	}
	var s *symbol.Stack
	if h, ok := c.known[1][k]; ok {
		s = c.stacks.Stack(h)
	}
	if s == nil {
		s = c.resolve(k, row)
	}
	if s == nil {
		return 0 // asked again, because the next one may be there
	}
	c.last++
	c.stacks.Put(c.last, s)
	c.known[0][k] = c.last
	c.cost += costOfStack + costOfAddress*len(s.Addresses)
	return c.last
}

// resolve makes the stack of a row.
func (c *column) resolve(k key, row []byte) *symbol.Stack {
	var user, ok bool
	c.addresses, user, ok = c.source.Append(c.addresses[:0], k.id)
	if !ok || user != c.user {
		return nil
	}
	if !c.user {
		return c.options.Resolver.Kernel(slices.Clone(c.addresses))
	}
	return c.options.Resolver.User(c.moment(k, row), slices.Clone(c.addresses))
}

// moment returns which process a row is from, and when.
func (c *column) moment(k key, row []byte) resolve.Moment {
	m := resolve.Moment{PID: k.tgid, Time: c.boot.u64(row)}
	// In a pid namespace gizmo knows processes by other numbers. Of those in it the struct has the one of the thread, by which /proc finds the process, too.
	if own := c.options.Namespace; own != 0 && own != c.namespace.u32(row) && own == c.inner2.u32(row) {
		m.PID = c.inner.u32(row)
	}
	m.Identity.Inode, m.Identity.ModifiedSec = c.inode.u64(row), c.modified.u64(row)
	m.Identity.ModifiedNsec = c.modifiedNsec.u32(row)
	return m
}
