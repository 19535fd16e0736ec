// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package stacks

import "encoding/binary"

// store keeps stacks by their ids, packed: neighbours on a stack are often close in memory, so the distances take two or three bytes each.
// Ids are consecutive numbers, but for a few that were used for what did not fit.
type store struct {
	first  uint32   // the id of index[0]
	index  []uint32 // where a stack is in packed, plus 1; 0: nowhere
	packed []byte
}

// begin empties the store. The next stack has the id first, or a greater one.
func (s *store) begin(first uint32) {
	s.first, s.index, s.packed = first, s.index[:0], s.packed[:0]
}

// size is the memory that the stacks take.
func (s *store) size() int { return len(s.packed) + 4*len(s.index) }

// grown is the size with a stack of that id and so many bytes of addresses.
func (s *store) grown(id uint32, addresses int) int {
	more := int(id) - int(s.first) + 1 - len(s.index)
	return s.size() + 4*max(more, 0) + addresses
}

// has reports whether the id is not older than the store.
func (s *store) has(id uint32) bool { return id >= s.first }

// put adds a stack: its addresses, eight bytes each.
func (s *store) put(id uint32, user bool, addresses []byte) {
	at := int(id - s.first)
	for len(s.index) <= at {
		s.index = append(s.index, 0)
	}
	s.index[at] = uint32(len(s.packed)) + 1
	head := uint64(len(addresses)/8) << 1
	if user {
		head |= 1
	}
	s.packed = binary.AppendUvarint(s.packed, head)
	before := uint64(0)
	for ; len(addresses) >= 8; addresses = addresses[8:] {
		address := binary.NativeEndian.Uint64(addresses)
		s.packed = binary.AppendVarint(s.packed, int64(address-before))
		before = address
	}
}

// get appends the addresses of a stack.
func (s *store) get(dst []uint64, id uint32) (addresses []uint64, user, ok bool) {
	at := int(id) - int(s.first)
	if at < 0 || at >= len(s.index) || s.index[at] == 0 {
		return dst, false, false
	}
	rest := s.packed[s.index[at]-1:]
	head, n := binary.Uvarint(rest)
	address := uint64(0)
	for range head >> 1 {
		rest = rest[n:]
		var distance int64
		distance, n = binary.Varint(rest)
		address += uint64(distance)
		dst = append(dst, address)
	}
	return dst, head&1 != 0, true
}
