// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package elffile reads the parts of an executable or a library that probes in user space and stacks need: segments,
// sections, symbols, the build id, and the offset of an address in the file.
//
// The files belong to the programs that are observed, so the package does not trust their contents. Constants
// limit what it reads, not the claims of a header, and it reads tables in pieces: neither
// a damaged nor a hostile file takes much memory. A file may also change or shrink while it is read,
// so it is not mapped into memory.
package elffile

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Bounds far above those of real programs, whose headers are few: the linker merges sections.
const (
	maxSegments     = 4 << 10
	maxSections     = 64 << 10
	maxSectionNames = 4 << 20 // bytes
	maxName         = 256     // bytes in the name of a section
)

// ErrNotELF is wrapped by errors about files of another format.
var ErrNotELF = errors.New("not an ELF file")

// ErrTruncated is wrapped by errors about parts beyond the end of the file.
var ErrTruncated = errors.New("the file is cut off")

// File is an opened ELF file. It is usable as long as the reader that it was made of.
type File struct {
	// Wide is true for the 64-bit format, false for the 32-bit format.
	Wide    bool
	Type    elf.Type
	Machine elf.Machine
	// Entry is the address at which the program starts.
	Entry    uint64
	Segments []Segment
	// Sections is empty in files whose section headers have been removed.
	Sections []Section

	r    io.ReaderAt
	size uint64
}

// Segment is a part of the file that is mapped when the program runs.
type Segment struct {
	Type  elf.ProgType
	Flags elf.ProgFlag
	// Off and Size are the part of the file, in bytes; Addr is where it begins in memory. A segment may be longer
	// in memory; the rest is not in the file.
	Off, Size, Addr uint64
}

// Section is a part of the file as the linker saw it.
type Section struct {
	Name      string
	Type      elf.SectionType
	Flags     elf.SectionFlag
	Addr      uint64
	Off, Size uint64 // in the file, in bytes
	Link      uint32 // the index of another section that belongs to it
}

// New reads the headers of a file of size bytes.
func New(r io.ReaderAt, size int64) (*File, error) {
	f := &File{r: r, size: uint64(max(0, size))}
	h, err := f.readHeader()
	if err != nil {
		return nil, err
	}
	if f.Segments, err = f.readSegments(h.segments); err != nil {
		return nil, fmt.Errorf("program headers: %w", err)
	}
	if f.Sections, err = f.readSections(h.sections, h.names); err != nil {
		return nil, fmt.Errorf("section headers: %w", err)
	}
	return f, nil
}

// table is a place in the file with entries of one size.
type table struct {
	off          uint64
	count, entry uint64
}

// header says where the other headers are.
type header struct {
	segments, sections table
	names              uint64 // the section with the names of sections
}

const (
	identSize    = 16
	headerSize32 = 52
	headerSize64 = 64
)

func (f *File) readHeader() (*header, error) {
	var b [headerSize64]byte
	n, err := f.r.ReadAt(b[:min(headerSize64, f.size)], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if err := f.readIdent(b[:n]); err != nil {
		return nil, err
	}
	if f.Wide && n < headerSize64 || n < headerSize32 {
		return nil, fmt.Errorf("header: %w", ErrTruncated)
	}
	f.Type = elf.Type(binary.LittleEndian.Uint16(b[16:]))
	f.Machine = elf.Machine(binary.LittleEndian.Uint16(b[18:]))
	f.Entry = f.word(b[:], 24, 24)
	half := func(wide, narrow int) uint64 {
		if f.Wide {
			return uint64(binary.LittleEndian.Uint16(b[wide:]))
		}
		return uint64(binary.LittleEndian.Uint16(b[narrow:]))
	}
	h := &header{
		segments: table{off: f.word(b[:], 32, 28), entry: half(54, 42), count: half(56, 44)},
		sections: table{off: f.word(b[:], 40, 32), entry: half(58, 46), count: half(60, 48)},
		names:    half(62, 50),
	}
	if h.sections.off == 0 {
		h.sections.count = 0
	}
	return h, nil
}

func (f *File) readIdent(b []byte) error {
	if len(b) >= 2 && string(b[:2]) == "#!" {
		return fmt.Errorf("a script, %w: name the program that runs it", ErrNotELF)
	}
	if len(b) < identSize || string(b[:4]) != elf.ELFMAG {
		return ErrNotELF
	}
	switch elf.Class(b[elf.EI_CLASS]) {
	case elf.ELFCLASS64:
		f.Wide = true
	case elf.ELFCLASS32:
	default:
		return fmt.Errorf("%w that is 32 or 64 bits wide", ErrNotELF)
	}
	if elf.Data(b[elf.EI_DATA]) != elf.ELFDATA2LSB {
		return fmt.Errorf("%w in this machine's byte order", ErrNotELF)
	}
	return nil
}

// word reads an address or offset, whose place and size depend on the format.
func (f *File) word(b []byte, wide, narrow int) uint64 {
	if f.Wide {
		return binary.LittleEndian.Uint64(b[wide:])
	}
	return uint64(binary.LittleEndian.Uint32(b[narrow:]))
}

func (f *File) readSegments(t table) ([]Segment, error) {
	entry := f.sizeOf(56, 32)
	b, err := f.readTable(t, entry, maxSegments)
	if err != nil {
		return nil, err
	}
	var list []Segment
	for ; len(b) > 0; b = b[entry:] {
		flags := b[4:]
		if !f.Wide {
			flags = b[24:]
		}
		list = append(list, Segment{
			Type:  elf.ProgType(binary.LittleEndian.Uint32(b)),
			Flags: elf.ProgFlag(binary.LittleEndian.Uint32(flags)),
			Off:   f.word(b, 8, 4),
			Addr:  f.word(b, 16, 8),
			Size:  f.word(b, 32, 16),
		})
	}
	return list, nil
}

func (f *File) readSections(t table, names uint64) ([]Section, error) {
	entry := f.sizeOf(64, 40)
	b, err := f.readTable(t, entry, maxSections)
	if err != nil {
		return nil, err
	}
	list := make([]Section, 0, t.count)
	nameAt := make([]uint32, 0, t.count)
	for ; len(b) > 0; b = b[entry:] {
		link := b[40:]
		if !f.Wide {
			link = b[24:]
		}
		nameAt = append(nameAt, binary.LittleEndian.Uint32(b))
		list = append(list, Section{
			Type:  elf.SectionType(binary.LittleEndian.Uint32(b[4:])),
			Flags: elf.SectionFlag(f.word(b, 8, 8)),
			Addr:  f.word(b, 16, 12),
			Off:   f.word(b, 24, 16),
			Size:  f.word(b, 32, 20),
			Link:  binary.LittleEndian.Uint32(link),
		})
	}
	return list, f.nameSections(list, nameAt, names)
}

func (f *File) nameSections(list []Section, nameAt []uint32, names uint64) error {
	if names >= uint64(len(list)) { // there are no names
		return nil
	}
	text, err := f.Bytes(&list[names], maxSectionNames)
	if err != nil {
		return fmt.Errorf("names of sections: %w", err)
	}
	for i := range list {
		list[i].Name = String(text, uint64(nameAt[i]), maxName)
	}
	return nil
}

func (f *File) sizeOf(wide, narrow uint64) uint64 {
	if f.Wide {
		return wide
	}
	return narrow
}

// readTable reads a table of headers, whose entries have to have the size that the format gives them.
func (f *File) readTable(t table, entry, limit uint64) ([]byte, error) {
	switch {
	case t.count == 0:
		return nil, nil
	case t.entry != entry:
		return nil, fmt.Errorf("entries of %d bytes, want %d", t.entry, entry)
	case t.count > limit:
		return nil, fmt.Errorf("%d entries, more than the %d that any program has", t.count, limit)
	}
	return f.read(t.off, t.count*entry)
}

// read returns n bytes of the file, which the caller has bounded.
func (f *File) read(off, n uint64) ([]byte, error) {
	if !f.contains(off, n) {
		return nil, ErrTruncated
	}
	b := make([]byte, n)
	if _, err := f.r.ReadAt(b, int64(off)); err != nil {
		return nil, readError(err)
	}
	return b, nil
}

func (f *File) contains(off, n uint64) bool { return off <= f.size && n <= f.size-off }

// readError distinguishes a file that has become shorter from one that cannot be read.
func readError(err error) error {
	if errors.Is(err, io.EOF) {
		return ErrTruncated
	}
	return err
}

// String returns the text that begins at off in a table of strings and ends with a zero byte: at most
// limit bytes of it. Outside of the table it is empty.
func String(table []byte, off, limit uint64) string {
	if off >= uint64(len(table)) {
		return ""
	}
	rest := table[off:]
	rest = rest[:min(limit, uint64(len(rest)))]
	for i, c := range rest {
		if c == 0 {
			return string(rest[:i])
		}
	}
	return string(rest)
}
