// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package elftest makes ELF files for tests: small ones, and ones that no linker would make.
package elftest

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/elffile"
)

// File is a 64-bit ELF file for x86-64. Its first section has no name, as the format wants it; the
// sections of the list follow, and then that with the names.
type File struct {
	Type     elf.Type // 0: a shared library
	Entry    uint64
	Segments []elf.Prog64
	Sections []Section
}

// Section is a section and what is in it.
type Section struct {
	Name string
	elf.Section64
	Data []byte
}

const (
	// Base is where the file begins in memory, in the one executable segment that Code returns.
	Base   = 0x400000
	header = 64
)

// Code is a segment of n bytes from the start of the file.
func Code(n uint64) elf.Prog64 {
	return elf.Prog64{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Vaddr: Base, Filesz: n, Memsz: n}
}

// Data is a writable segment of n bytes at offset off in the file and at Base+off in memory.
func Data(off, n uint64) elf.Prog64 {
	return elf.Prog64{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_W), Off: off, Vaddr: Base + off, Filesz: n, Memsz: n}
}

// Names makes a table of strings, and returns the offset of each.
func Names(names ...string) ([]byte, map[string]uint32) {
	table, at := []byte{0}, make(map[string]uint32)
	for _, n := range names {
		at[n] = uint32(len(table))
		table = append(append(table, n...), 0)
	}
	return table, at
}

// Pack writes values one after the other.
func Pack(values ...any) []byte {
	var b bytes.Buffer
	for _, v := range values {
		if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
			panic(err) // a mistake in a test
		}
	}
	return b.Bytes()
}

// Bytes is the file.
func (f *File) Bytes() []byte {
	list := append([]Section{{}}, f.Sections...)
	list = append(list, Section{Name: ".shstrtab", Section64: elf.Section64{Type: uint32(elf.SHT_STRTAB)}})
	var names []string
	for _, s := range list[1:] {
		names = append(names, s.Name)
	}
	texts, at := Names(names...)
	list[len(list)-1].Data = texts

	body := Pack(f.Segments)
	for i := range list[1:] {
		s := &list[i+1]
		s.Section64.Name = at[s.Name]
		if s.Off == 0 {
			s.Off = header + uint64(len(body))
		}
		if s.Size == 0 {
			s.Size = uint64(len(s.Data))
		}
		body = append(body, s.Data...)
	}
	h := f.header(uint64(len(body)), len(list))
	out := append(Pack(h), body...)
	for i := range list {
		out = append(out, Pack(list[i].Section64)...)
	}
	return out
}

// header is the file's header; the sections' headers follow the body.
func (f *File) header(body uint64, sections int) *elf.Header64 {
	h := &elf.Header64{
		Type: uint16(f.Type), Machine: uint16(elf.EM_X86_64), Version: 1, Entry: f.Entry,
		Phoff: header, Ehsize: header, Phentsize: 56, Phnum: uint16(len(f.Segments)),
		Shoff: header + body, Shentsize: 64, Shnum: uint16(sections), Shstrndx: uint16(sections - 1),
	}
	if f.Type == 0 {
		h.Type = uint16(elf.ET_DYN)
	}
	copy(h.Ident[:], elf.ELFMAG)
	h.Ident[elf.EI_CLASS], h.Ident[elf.EI_DATA], h.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), 1
	return h
}

// Open reads the bytes of a file.
func Open(t testing.TB, data []byte) *elffile.File {
	t.Helper()
	f, err := elffile.New(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}
