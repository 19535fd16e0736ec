// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"cmp"
	"encoding/binary"
	"io"
	"math"
	"math/rand/v2"
	"slices"
)

const (
	maxIndexed = 16 << 20 // bytes of .eh_frame that an index is made of; libclang 19 has 6.7 MB
	maxFrames  = 1 << 19  // functions in an index; 4 MiB
)

// Table finds the call frame information (CFI) of one ELF file. It is immutable, and any number of unwinders may use it at the same
// time. It reads from the file when an unwinder meets code for the first time, so the file must stay open.
type Table struct {
	file
	search searchTable
	index  []indexed // sorted by start; instead of search
	base   uint64    // what index counts from
	start  uint64    // of the program
	seed   uint64    // distributes the tables' addresses over the cache
}

// searchTable is the sorted table in .eh_frame_hdr.
type searchTable struct {
	addr  uint64 // of .eh_frame_hdr: what its entries count from
	off   uint64 // of the first entry in the file
	count uint64
	width uint64 // bytes of a number: 4 or 8. An entry has two, the start of a function and the address of its FDE.
}

// indexed is a function of a file without a search table.
type indexed struct {
	start uint32 // of the function, from base
	frame uint32 // its FDE, from base
}

// NewTable reads the headers of the ELF file in f, which has size bytes. A file without CFI is no error: its table covers no
// code. Without a search table in the file, NewTable reads all of .eh_frame, up to 16 MiB, and makes one.
func NewTable(f io.ReaderAt, size int64) (*Table, error) {
	t := &Table{file: file{r: f, size: uint64(max(0, size))}, seed: rand.Uint64()}
	header, search, err := t.open()
	if err != nil {
		return nil, err
	}
	t.start = header.Entry
	frames, ok := t.openSearch(search)
	if ok {
		return t, nil
	}
	if frames.size == 0 {
		frames = t.section(&header, ".eh_frame")
	}
	t.makeIndex(frames)
	return t, nil
}

// HasCFI says whether the file has CFI for any code at all.
func (t *Table) HasCFI() bool {
	return t.search.count > 0 || len(t.index) > 0
}

// startsAt says whether an address is in the code that runs first in a program.
func (t *Table) startsAt(addr uint64) bool {
	return t.start != 0 && addr >= t.start && addr-t.start < startSize
}

// openSearch reads the start of .eh_frame_hdr. Without a table that can be used it returns where .eh_frame is, if that is known.
func (t *Table) openSearch(header segment) (frames segment, ok bool) {
	b := make([]byte, min(header.size, 4+2*10)) // version, encodings, two numbers
	if len(b) < 4 || !t.read(b, header.off) || b[0] != 1 {
		return segment{}, false
	}
	c := cursor{b: b, at: 4, addr: header.addr}
	start := c.pointer(b[1], header.addr)
	if c.bad {
		return segment{}, false
	}
	if off, left, ok := t.offset(start); ok {
		frames = segment{addr: start, size: left, off: off}
	}
	if b[2] == pointerOmitted || b[3] == pointerOmitted {
		return frames, false
	}
	count := c.number(b[2])
	s := searchTable{addr: header.addr, off: header.off + uint64(c.at)}
	switch b[3] {
	case pointerData | 0x0b:
		s.width = 4
	case pointerData | 0x0c:
		s.width = 8
	default:
		return frames, false
	}
	s.count = min(count, (header.size-uint64(c.at))/(2*s.width))
	if c.bad || s.count == 0 {
		return frames, false
	}
	t.search = s
	return frames, true
}

// makeIndex finds the functions of a file without a search table.
func (t *Table) makeIndex(frames segment) {
	b := make([]byte, min(frames.size, maxIndexed))
	if !t.read(b, frames.off) {
		return
	}
	// Code lies within 2 GiB of its CFI, on both sides.
	t.base = frames.addr - math.MaxInt32
	c := cursor{b: b, addr: frames.addr}
	for c.left() >= 4 && len(t.index) < maxFrames {
		at := c.at
		length := c.unsigned(4)
		if length == 0 {
			break
		}
		body := c.bytes(length)
		if c.bad || len(body) < 4 {
			break
		}
		back := uint64(binary.LittleEndian.Uint32(body))
		if back == 0 || back > uint64(at)+4 {
			continue // a CIE, or not a place in this section
		}
		info, ok := parseCIE(record(b[uint64(at)+4-back:]))
		if !ok {
			continue
		}
		frame := cursor{b: body, at: 4, addr: frames.addr + uint64(at) + 4}
		start := frame.pointer(info.encoding, 0) - t.base
		if !frame.bad && start <= math.MaxUint32 {
			t.index = append(t.index, indexed{start: uint32(start), frame: uint32(frames.addr + uint64(at) - t.base)})
		}
	}
	slices.SortFunc(t.index, func(a, b indexed) int { return cmp.Compare(a.start, b.start) })
	t.index = slices.Clip(t.index)
}

// frame finds the FDE of the function that an address may be in: the last that does not start behind it. A read fails only if the file
// is no longer what it was. scratch has room for parts of the table.
func (t *Table) frame(addr uint64, scratch []byte) (frame uint64, found, readable bool) {
	if t.search.count > 0 {
		return t.searchFrame(addr, scratch)
	}
	i, found := slices.BinarySearchFunc(t.index, addr-t.base, func(e indexed, rel uint64) int { return cmp.Compare(uint64(e.start), rel) })
	if !found {
		i--
	}
	if i < 0 {
		return 0, false, true
	}
	return t.base + uint64(t.index[i].frame), true, true
}

// searchFrame does that in .eh_frame_hdr. It reads single entries until what is left fits into scratch.
func (t *Table) searchFrame(addr uint64, scratch []byte) (frame uint64, found, readable bool) {
	s := &t.search
	entry := 2 * s.width
	rel := int64(addr - s.addr)
	low, high := uint64(0), s.count // the entry is the one before the first in [low, high] that starts behind addr
	for (high-low+1)*entry > uint64(len(scratch)) {
		middle := low + (high-low)/2
		if !t.read(scratch[:s.width], s.off+middle*entry) {
			return 0, false, false
		}
		if s.number(scratch) <= rel {
			low = middle + 1
		} else {
			high = middle
		}
	}
	// The entry before low may be the one.
	first := low - min(low, 1)
	last := min(high, first+uint64(len(scratch))/entry)
	part := scratch[:(last-first)*entry]
	if !t.read(part, s.off+first*entry) {
		return 0, false, false
	}
	low, high = 0, last-first
	for low < high {
		middle := low + (high-low)/2
		if s.number(part[middle*entry:]) <= rel {
			low = middle + 1
		} else {
			high = middle
		}
	}
	if low == 0 {
		return 0, false, true
	}
	return s.addr + uint64(s.number(part[(low-1)*entry+s.width:])), true, true
}

// number reads a signed number of the table's width.
func (s *searchTable) number(b []byte) int64 {
	if s.width == 4 {
		return int64(int32(binary.LittleEndian.Uint32(b)))
	}
	return int64(binary.LittleEndian.Uint64(b))
}
