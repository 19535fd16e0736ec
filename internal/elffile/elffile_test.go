// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package elffile_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/elffile"
	"github.com/gizmo-ebpf/gizmo/internal/elffile/elftest"
)

func small() []byte {
	f := elftest.File{
		Entry:    elftest.Base + 0x10,
		Segments: []elf.Prog64{elftest.Code(0x100), elftest.Data(0x100, 0x40)},
		Sections: []elftest.Section{
			{Name: ".text", Section64: elf.Section64{Type: uint32(elf.SHT_PROGBITS), Addr: elftest.Base}, Data: make([]byte, 0x200)},
			{Name: ".bss", Section64: elf.Section64{Type: uint32(elf.SHT_NOBITS), Size: 1 << 40}},
			{Name: ".debug", Section64: elf.Section64{Type: uint32(elf.SHT_PROGBITS), Flags: uint64(elf.SHF_COMPRESSED)}, Data: []byte("zip")},
		},
	}
	return f.Bytes()
}

// open is elffile.New of bytes.
func open(data []byte) (*elffile.File, error) {
	return elffile.New(bytes.NewReader(data), int64(len(data)))
}

// The headers of this very test program are read as the standard library reads them.
func TestAgainstStandardLibrary(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	want, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	f := elftest.Open(t, data)
	if f.Type != want.Type || f.Machine != want.Machine || f.Entry != want.Entry || !f.Wide {
		t.Errorf("header %+v, want %+v", f, want.FileHeader)
	}
	if len(f.Segments) != len(want.Progs) || len(f.Sections) != len(want.Sections) {
		t.Fatalf("%d segments, %d sections, want %d, %d", len(f.Segments), len(f.Sections), len(want.Progs), len(want.Sections))
	}
	for i, p := range want.Progs {
		if w := (elffile.Segment{Type: p.Type, Flags: p.Flags, Off: p.Off, Size: p.Filesz, Addr: p.Vaddr}); f.Segments[i] != w {
			t.Errorf("segment %d: %+v, want %+v", i, f.Segments[i], w)
		}
	}
	for i, s := range want.Sections {
		w := elffile.Section{Name: s.Name, Type: s.Type, Flags: s.Flags, Addr: s.Addr, Off: s.Offset, Size: s.FileSize, Link: s.Link}
		if s.Type == elf.SHT_NOBITS {
			w.Size = s.Size
		}
		if f.Sections[i] != w {
			t.Errorf("section %d: %+v, want %+v", i, f.Sections[i], w)
		}
	}
}

func TestOffsets(t *testing.T) {
	t.Parallel()
	f := elftest.Open(t, small())
	tests := []struct {
		addr uint64
		data bool
		want uint64
		err  string
	}{
		{addr: elftest.Base, want: 0},
		{addr: elftest.Base + 0xff, want: 0xff},
		{addr: elftest.Base + 0x100, err: "not executable"},
		{addr: elftest.Base + 0x140, err: "no part of the file"},
		{addr: 0, err: "no part of the file"},
		{addr: elftest.Base - 1, err: "no part of the file"},
		{addr: 1<<64 - 1, err: "no part of the file"},
		{addr: elftest.Base + 0x100, data: true, want: 0x100},
		{addr: elftest.Base, data: true, err: "not writable"},
	}
	for _, test := range tests {
		offset := f.CodeOffset
		if test.data {
			offset = f.DataOffset
		}
		got, err := offset(test.addr)
		if test.err == "" && (err != nil || got != test.want) {
			t.Errorf("%#x: %#x, %v, want %#x", test.addr, got, err, test.want)
		}
		if test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) {
			t.Errorf("%#x: %v, want %q", test.addr, err, test.err)
		}
	}
}

func TestOffsetBehindEnd(t *testing.T) {
	t.Parallel()
	for _, p := range []elf.Prog64{
		{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_X), Vaddr: elftest.Base, Off: 1 << 20, Filesz: 10},
		{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_X), Vaddr: elftest.Base, Off: 1<<64 - 1, Filesz: 10}, // wraps around
	} {
		file := elftest.File{Segments: []elf.Prog64{p}}
		f := elftest.Open(t, file.Bytes())
		if off, err := f.CodeOffset(elftest.Base + 5); !errors.Is(err, elffile.ErrTruncated) {
			t.Errorf("%#x, %v", off, err)
		}
	}
}

func TestSections(t *testing.T) {
	t.Parallel()
	f := elftest.Open(t, small())
	if b, err := f.Bytes(f.Section(".text"), 0x200); err != nil || len(b) != 0x200 {
		t.Errorf(".text: %d bytes, %v", len(b), err)
	}
	if f.Section(".data") != nil || f.SectionOf(elf.SHT_DYNSYM) != nil || f.SectionOf(elf.SHT_NOBITS).Name != ".bss" {
		t.Error("a section that is not there, or none that is")
	}
	for name, want := range map[string]string{".bss": "not in the file", ".debug": "compressed"} {
		if _, err := f.Bytes(f.Section(name), 1<<62); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	if _, err := f.Reader(f.Section(".text"), 0x1ff); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("a section that is too large: %v", err)
	}
}

func TestDamaged(t *testing.T) {
	t.Parallel()
	changed := func(off int, b ...byte) []byte {
		data := small()
		copy(data[off:], b)
		return data
	}
	count := func(n uint16) []byte { return binary.LittleEndian.AppendUint16(nil, n) }
	tests := map[string]struct {
		data []byte
		want string
	}{
		"empty":             {nil, "not an ELF file"},
		"text":              {[]byte("hello"), "not an ELF file"},
		"script":            {[]byte("#!/bin/sh\n"), "script"},
		"one byte":          {[]byte{0x7f}, "not an ELF file"},
		"no class":          {changed(4, 9), "32 or 64"},
		"big endian":        {changed(5, 2), "byte order"},
		"header only":       {small()[:40], "cut off"},
		"no headers":        {small()[:70], "program headers: the file is cut off"},
		"no sections":       {small()[:len(small())-1], "section headers: the file is cut off"},
		"many segments":     {changed(56, count(0xffff)...), "more than"},
		"odd segment size":  {changed(54, 57), "entries of 57 bytes"},
		"sections far away": {changed(40, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), "cut off"},
	}
	for name, test := range tests {
		_, err := open(test.data)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

// A file may have been stripped of its section headers; its segments are enough to run it.
func TestWithoutSections(t *testing.T) {
	t.Parallel()
	data := small()
	clear(data[40:48])
	f := elftest.Open(t, data)
	if len(f.Sections) != 0 || len(f.Segments) != 2 {
		t.Errorf("%d sections, %d segments", len(f.Sections), len(f.Segments))
	}
}

// A claim of the header must not cost memory that the file does not have.
func TestClaims(t *testing.T) {
	t.Parallel()
	data := small()
	binary.LittleEndian.PutUint16(data[60:], 0xffff)    // sections
	f, err := elffile.New(bytes.NewReader(data), 1<<62) // a sparse file, or one that shrinks
	if err == nil || !errors.Is(err, elffile.ErrTruncated) {
		t.Errorf("%v, %v", f, err)
	}
}

func FuzzNew(f *testing.F) {
	f.Add(small(), uint64(elftest.Base))
	f.Add([]byte("#!/bin/sh"), uint64(0))
	f.Fuzz(func(t *testing.T, data []byte, addr uint64) {
		file, err := open(data)
		if err != nil {
			return
		}
		for _, offset := range []func(uint64) (uint64, error){file.CodeOffset, file.DataOffset} {
			if off, err := offset(addr); err == nil && off >= uint64(len(data)) {
				t.Errorf("offset %#x in a file of %#x bytes", off, len(data))
			}
		}
		_ = file.BuildID()
		for i := range file.Sections {
			_ = file.EachSymbol(&file.Sections[i], func(int, elffile.Symbol) error { return nil })
			b, err := file.Bytes(&file.Sections[i], 1<<20)
			if err == nil && len(b) > len(data) {
				t.Errorf("section of %d bytes in a file of %d", len(b), len(data))
			}
		}
	})
}

func TestBuildID(t *testing.T) {
	t.Parallel()
	id := []byte{0xde, 0xad, 0xbe, 0xef, 1}
	note := func(name string, kind uint32, desc []byte) []byte {
		b := elftest.Pack(uint32(len(name)), uint32(len(desc)), kind)
		b = append(b, name...)
		b = append(b, make([]byte, -len(name)&3)...)
		return append(append(b, desc...), make([]byte, -len(desc)&3)...)
	}
	tests := map[string]struct {
		notes []byte
		want  string
	}{
		"alone":           {note("GNU\x00", 3, id), "deadbeef01"},
		"behind others":   {append(note("Go\x00\x00", 4, []byte("abcde")), note("GNU\x00", 3, id)...), "deadbeef01"},
		"another's":       {note("XYZ\x00", 3, id), ""},
		"another kind":    {note("GNU\x00", 1, id), ""},
		"empty":           {note("GNU\x00", 3, nil), ""},
		"cut off":         {note("GNU\x00", 3, id)[:18], ""},
		"too long":        {note("GNU\x00", 3, make([]byte, 65)), ""},
		"claims the moon": {elftest.Pack(^uint32(0), ^uint32(0), uint32(3)), ""},
		"none":            {nil, ""},
	}
	for name, test := range tests {
		inSection := elftest.File{Sections: []elftest.Section{{
			Name: ".note.gnu.build-id", Section64: elf.Section64{Type: uint32(elf.SHT_NOTE)}, Data: test.notes,
		}}}
		if got := elftest.Open(t, inSection.Bytes()).BuildID(); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
		if got := elffile.BuildIDIn(test.notes); got != test.want {
			t.Errorf("%s, the notes alone: %q, want %q", name, got, test.want)
		}
	}
	// The program header alone says where the notes are if the section headers have been removed.
	body := note("GNU\x00", 3, id)
	f := elftest.File{
		Segments: []elf.Prog64{{Type: uint32(elf.PT_NOTE), Off: 64 + 56, Filesz: uint64(len(body))}},
		Sections: []elftest.Section{{Name: ".any", Section64: elf.Section64{Type: uint32(elf.SHT_PROGBITS)}, Data: body}},
	}
	data := f.Bytes()
	clear(data[40:48])
	if got := elftest.Open(t, data).BuildID(); got != "deadbeef01" {
		t.Errorf("in a segment: %q", got)
	}
}

// The walk over symbols sees what the standard library sees, in more than one piece.
func TestSymbols(t *testing.T) {
	t.Parallel()
	names, at := elftest.Names("f", "g")
	list := []elf.Sym64{{}}
	for i := range uint64(5000) {
		list = append(list, elf.Sym64{
			Name: at["f"], Info: byte(i), Shndx: uint16(i), Value: i << 33, Size: i + 7,
		}, elf.Sym64{Name: at["g"], Info: elf.ST_INFO(elf.STB_WEAK, elf.STT_FUNC), Shndx: 1})
	}
	file := elftest.File{Sections: []elftest.Section{
		{Name: ".symtab", Section64: elf.Section64{Type: uint32(elf.SHT_SYMTAB), Link: 2, Entsize: 24}, Data: elftest.Pack(list)},
		{Name: ".strtab", Section64: elf.Section64{Type: uint32(elf.SHT_STRTAB)}, Data: names},
	}}
	std, err := elf.NewFile(bytes.NewReader(file.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	want, err := std.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	f := elftest.Open(t, file.Bytes())
	table := f.SectionOf(elf.SHT_SYMTAB)
	section, err := f.SymbolNames(table)
	if err != nil {
		t.Fatal(err)
	}
	text, err := f.Bytes(section, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	err = f.EachSymbol(table, func(i int, s elffile.Symbol) error {
		if i == 0 { // the standard library leaves it out
			return nil
		}
		w := want[i-1]
		name := elffile.String(text, uint64(s.NameAt), 10)
		if name != w.Name || s.Value != w.Value || s.Size != w.Size || s.Info != w.Info || s.Section != w.Section {
			t.Errorf("symbol %d: %+v, want %+v", i, s, w)
		}
		n++
		return nil
	})
	if err != nil || n != len(want) {
		t.Errorf("%d symbols, %v, want %d", n, err, len(want))
	}
	table.Link = 99
	if _, err := f.SymbolNames(table); err == nil {
		t.Error("a table without names has names")
	}
}
