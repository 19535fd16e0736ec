// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package encode

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"github.com/gizmo-ebpf/gizmo/event"
)

// jsonMemo writes the members of a struct of the record, and keeps what it wrote: events that come
// together are often of the same few processes, whose part of the text is the longest.
type jsonMemo struct {
	off, size uint32 // of the struct
	enc       *jsonEncoder
	epoch     uint64
	slots     [1 << memoBits]memoSlot
}

// memoBits is the binary logarithm of the number of texts that are kept: about as many as processes
// run at once on a large host.
const memoBits = 5

// memoSlot is the text of the bytes that it had last.
type memoSlot struct {
	epoch       uint64
	bytes, text []byte
}

func newJSONMemo(off, size uint32, enc *jsonEncoder) *jsonMemo {
	return &jsonMemo{off: off, size: size, enc: enc, epoch: 1}
}

// forget makes all texts be written anew. It is called once for each batch, since a text may depend
// on what changes seldom.
func (m *jsonMemo) forget() { m.epoch++ }

func (m *jsonMemo) append(dst []byte, b *event.Batch, row int) []byte {
	key := b.Rows[row][m.off : m.off+m.size]
	slot := &m.slots[memoHash(key)]
	if slot.epoch == m.epoch && bytes.Equal(slot.bytes, key) {
		return append(dst, slot.text...)
	}
	start := len(dst)
	dst = m.enc.appendRow(dst, b, row)
	slot.epoch = m.epoch
	slot.bytes = append(slot.bytes[:0], key...)
	slot.text = append(slot.text[:0], dst[start:]...)
	return dst
}

// memoHash chooses the slot. It need not be good, only quick: what meets in a slot takes turns.
func memoHash(p []byte) uint64 {
	var h uint64
	i := 0
	for ; i+8 <= len(p); i += 8 {
		h = bits.RotateLeft64(h, 11) ^ binary.LittleEndian.Uint64(p[i:])
	}
	for ; i < len(p); i++ {
		h = bits.RotateLeft64(h, 11) ^ uint64(p[i])
	}
	return h * 0x9e3779b97f4a7c15 >> (64 - memoBits)
}

// memoMembers is the number of values from which on it is quicker to compare a struct with the one
// before than to write it.
const memoMembers = 4

// repeatable returns the index of the struct of the record whose members, and nothing else, the
// object n holds, if it pays to remember their text.
func repeatable(s *event.Schema, n *node) (int, bool) {
	leaves := n.leaves(nil)
	if len(leaves) < memoMembers {
		return 0, false
	}
	at := s.Fields[leaves[0]].Parent
	for at != event.NoParent && !holdsAll(s, at, leaves) {
		at = s.Fields[at].Parent
	}
	if at == event.NoParent {
		return 0, false
	}
	f := &s.Fields[at]
	return at, !f.Added && f.Size > 0 && uint64(f.Off)+uint64(f.Size) <= uint64(s.Size)
}

// holdsAll reports whether the values of all the fields follow from the bytes of the struct at.
func holdsAll(s *event.Schema, at int, fields []int) bool {
	outer := &s.Fields[at]
	for _, i := range fields {
		f := &s.Fields[i]
		inside := !f.Added && !f.Rest && f.Off >= outer.Off && f.Off+f.Size <= outer.Off+outer.Size
		if f.Text != nil && !f.Stable || !f.Added && !inside || f.Added && !isMember(s, i, at) {
			return false
		}
	}
	return true
}

// isMember reports whether the field i lies below the struct at in the tree of fields.
func isMember(s *event.Schema, i, at int) bool {
	for p := s.Fields[i].Parent; p != event.NoParent; p = s.Fields[p].Parent {
		if p == at {
			return true
		}
	}
	return false
}

// leaves appends the fields of all values within the node.
func (n *node) leaves(fields []int) []int {
	if n.field != object {
		return append(fields, n.field)
	}
	for _, kid := range n.kids {
		fields = kid.leaves(fields)
	}
	return fields
}
