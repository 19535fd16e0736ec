// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	maxHeaders  = 256     // program headers that are read; the largest file on a Debian machine has 14
	maxSections = 1 << 12 // section headers that are read, only from a file without .eh_frame_hdr
	maxNames    = 1 << 16 // bytes of the names of sections
)

// segment is a part of a file that is loaded into memory.
type segment struct {
	addr, size, off uint64
}

// file is an ELF file, of which only the program headers are in memory.
type file struct {
	r        io.ReaderAt
	size     uint64
	segments []segment
}

// read fills b with the bytes of the file at an offset.
func (f *file) read(b []byte, off uint64) bool {
	if off > f.size || uint64(len(b)) > f.size-off {
		return false
	}
	n, err := f.r.ReadAt(b, int64(off))
	return n == len(b) && (err == nil || err == io.EOF)
}

// offset finds the place of an address in the file, and how many bytes of its segment follow.
func (f *file) offset(addr uint64) (off, left uint64, ok bool) {
	for i := range f.segments {
		s := &f.segments[i]
		if addr >= s.addr && addr-s.addr < s.size {
			return s.off + (addr - s.addr), s.size - (addr - s.addr), true
		}
	}
	return 0, 0, false
}

// open reads the headers of an ELF file, and returns the segment with .eh_frame_hdr; of size 0 if it has none.
func (f *file) open() (header elf.Header64, search segment, err error) {
	var b [64]byte
	if !f.read(b[:], 0) || string(b[:4]) != elf.ELFMAG {
		return header, search, errors.New("not an ELF file")
	}
	if elf.Class(b[elf.EI_CLASS]) != elf.ELFCLASS64 || elf.Data(b[elf.EI_DATA]) != elf.ELFDATA2LSB {
		return header, search, errors.New("ELF file is not 64-bit little-endian")
	}
	if _, err := binary.Decode(b[:], binary.LittleEndian, &header); err != nil {
		return header, search, err
	}
	if m := elf.Machine(header.Machine); m != machine {
		return header, search, fmt.Errorf("ELF file is for the machine %v; gizmo unwinds %v only", m, machine)
	}
	if header.Phentsize != 56 || header.Phnum == 0 || header.Phnum > maxHeaders {
		return header, search, fmt.Errorf("ELF file has %d program headers of %d bytes; expected 1 to %d, of 56", header.Phnum, header.Phentsize, maxHeaders)
	}
	table := make([]byte, 56*int(header.Phnum))
	if !f.read(table, header.Phoff) {
		return header, search, errors.New("ELF file ends before its program headers")
	}
	for ; len(table) > 0; table = table[56:] {
		var p elf.Prog64
		if _, err := binary.Decode(table, binary.LittleEndian, &p); err != nil {
			return header, search, err
		}
		s := segment{addr: p.Vaddr, size: p.Filesz, off: p.Off}
		switch {
		case s.off > f.size || s.size > f.size-s.off || s.addr+s.size < s.addr:
			// A part that the file does not have; the rest may be good.
		case elf.ProgType(p.Type) == elf.PT_LOAD:
			f.segments = append(f.segments, s)
		case elf.ProgType(p.Type) == elf.PT_GNU_EH_FRAME:
			search = s
		}
	}
	return header, search, nil
}

// section finds a section by its name; of size 0 if the file has none.
func (f *file) section(header *elf.Header64, name string) segment {
	if header.Shentsize != 64 || header.Shnum == 0 || header.Shnum > maxSections || header.Shstrndx >= header.Shnum {
		return segment{}
	}
	table := make([]byte, 64*int(header.Shnum))
	if !f.read(table, header.Shoff) {
		return segment{}
	}
	at := func(i int) (s elf.Section64) {
		_, _ = binary.Decode(table[64*i:], binary.LittleEndian, &s) // cannot be too short
		return s
	}
	strings := at(int(header.Shstrndx))
	names := make([]byte, min(strings.Size, maxNames, f.size))
	if !f.read(names, strings.Off) {
		return segment{}
	}
	for i := range int(header.Shnum) {
		s := at(i)
		end := uint64(s.Name) + uint64(len(name))
		if end >= uint64(len(names)) || string(names[s.Name:end]) != name || names[end] != 0 {
			continue
		}
		if elf.SectionType(s.Type) != elf.SHT_NOBITS && s.Off <= f.size && s.Size <= f.size-s.Off {
			return segment{addr: s.Addr, size: s.Size, off: s.Off}
		}
	}
	return segment{}
}
