// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package elffile

import (
	"bytes"
	"compress/zlib"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Section returns the first section of that name, or nil.
func (f *File) Section(name string) *Section {
	i := slices.IndexFunc(f.Sections, func(s Section) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return &f.Sections[i]
}

// SectionOf returns the first section of that type, or nil.
func (f *File) SectionOf(t elf.SectionType) *Section {
	i := slices.IndexFunc(f.Sections, func(s Section) bool { return s.Type == t })
	if i < 0 {
		return nil
	}
	return &f.Sections[i]
}

// errCompressed is about a section whose compression gizmo cannot undo.
var errCompressed = errors.New("compressed in a way that gizmo cannot read")

// Plain returns the contents of a section, decompressed if need be, of at most limit bytes.
func (f *File) Plain(s *Section, limit uint64) ([]byte, error) {
	if s.Flags&elf.SHF_COMPRESSED == 0 {
		return f.Bytes(s, limit)
	}
	stored := *s
	stored.Flags &^= elf.SHF_COMPRESSED
	r, err := f.Reader(&stored, limit)
	if err != nil {
		return nil, err
	}
	header := make([]byte, f.sizeOf(24, 12))
	if _, err := io.ReadFull(r, header); err != nil {
		return nil, fmt.Errorf("section %q: %w", s.Name, ErrTruncated)
	}
	kind, size := elf.CompressionType(binary.LittleEndian.Uint32(header)), f.word(header, 8, 4)
	switch {
	case kind != elf.COMPRESS_ZLIB:
		return nil, fmt.Errorf("section %q is %w", s.Name, errCompressed)
	case size > limit:
		return nil, fmt.Errorf("section %q has %d bytes, more than the %d that gizmo reads", s.Name, size, limit)
	}
	z, err := zlib.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("section %q: %w", s.Name, err)
	}
	defer z.Close()
	// The size is only a claim, so the memory grows as the bytes come.
	var b bytes.Buffer
	if size/maxRatio <= s.Size {
		b.Grow(int(size))
	}
	if n, err := io.Copy(&b, io.LimitReader(z, int64(size))); err != nil || uint64(n) != size {
		return nil, fmt.Errorf("section %q: %w", s.Name, errors.Join(ErrTruncated, err))
	}
	return b.Bytes(), nil
}

// maxRatio is how well zlib compresses at best.
const maxRatio = 1032

// check fails unless the section is in the file, as it is, and has at most limit bytes.
func (f *File) check(s *Section, limit uint64) error {
	switch {
	case s.Type == elf.SHT_NOBITS:
		return fmt.Errorf("section %q is not in the file", s.Name)
	case s.Flags&elf.SHF_COMPRESSED != 0:
		return fmt.Errorf("section %q is compressed", s.Name)
	case !f.contains(s.Off, s.Size):
		return fmt.Errorf("section %q: %w", s.Name, ErrTruncated)
	case s.Size > limit:
		return fmt.Errorf("section %q has %d bytes, more than the %d that gizmo reads", s.Name, s.Size, limit)
	}
	return nil
}

// Bytes returns the contents of a section of at most limit bytes.
func (f *File) Bytes(s *Section, limit uint64) ([]byte, error) {
	if err := f.check(s, limit); err != nil {
		return nil, err
	}
	return f.read(s.Off, s.Size)
}

// Reader reads a section of at most limit bytes in pieces.
func (f *File) Reader(s *Section, limit uint64) (*io.SectionReader, error) {
	if err := f.check(s, limit); err != nil {
		return nil, err
	}
	return io.NewSectionReader(f.r, int64(s.Off), int64(s.Size)), nil
}

// The reasons why no probe can be put at an address.
var (
	errNotLoaded   = errors.New("no part of the file is loaded there")
	errNotCode     = errors.New("it is in a part of the file that is not executable")
	errNotWritable = errors.New("it is in a part of the file that is not writable")
)

// CodeOffset returns where in the file the instruction at an address is.
func (f *File) CodeOffset(addr uint64) (uint64, error) {
	return f.offset(addr, elf.PF_X, errNotCode)
}

// DataOffset returns where in the file the initial value of the variable at an address is.
func (f *File) DataOffset(addr uint64) (uint64, error) {
	return f.offset(addr, elf.PF_W, errNotWritable)
}

func (f *File) offset(addr uint64, want elf.ProgFlag, otherwise error) (uint64, error) {
	err := errNotLoaded
	for i := range f.Segments {
		s := &f.Segments[i]
		if s.Type != elf.PT_LOAD || addr < s.Addr || addr-s.Addr >= s.Size {
			continue
		}
		if s.Flags&want == 0 {
			err = otherwise
			continue
		}
		off := s.Off + (addr - s.Addr)
		if off < s.Off || off >= f.size {
			return 0, fmt.Errorf("address %#x: %w", addr, ErrTruncated)
		}
		return off, nil
	}
	return 0, fmt.Errorf("address %#x: %w", addr, err)
}
