// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"testing"
)

// codeAddr is where the code of built files starts. They have none, only CFI for it.
const codeAddr = 0x100000

// program describes an ELF file with CFI.
type program struct {
	augmentation string // of the CIE, with its data; "zR" with 4-byte relative pointers if empty
	data         []byte
	cie          []byte // instructions; the usual ones at a function's entry if nil
	functions    []function
	noSearch     bool // no .eh_frame_hdr
	noSections   bool
	wide         bool // 8-byte numbers in .eh_frame_hdr
	noTable      bool // an .eh_frame_hdr without a table
}

// function is one after another from codeAddr on.
type function struct {
	size uint32
	gap  uint32 // of no function, in front
	code []byte // call frame instructions
}

// entry is what compilers write for the entry of a function: CFA = sp + 8, the return address below it.
func entry() []byte {
	return []byte{cfaDefine, RegisterSP, 8, cfaOffset | RegisterIP, 1}
}

// le appends numbers to b, in the order of bytes of the file.
func le(b []byte, values ...any) []byte {
	for _, v := range values {
		b, _ = binary.Append(b, binary.LittleEndian, v)
	}
	return b
}

// padded is an entry with its length.
func padded(b []byte) []byte {
	for len(b)%8 != 4 {
		b = append(b, cfaNop)
	}
	return append(le(nil, uint32(len(b))), b...)
}

// build writes the file. All of it is one segment that is at the same addresses as in the file.
func (p *program) build() []byte {
	const headers = 64 + 2*56
	frames, starts, places := p.frames(headers)
	out := append(make([]byte, headers), frames...)
	for len(out)%8 != 0 {
		out = append(out, 0)
	}
	search := uint64(len(out))
	if !p.noSearch {
		out = append(out, p.searchTable(search, headers, starts, places)...)
	}
	searchSize := uint64(len(out)) - search
	names := uint64(len(out))
	out = append(out, "\x00.eh_frame\x00.shstrtab\x00"...)
	sections := uint64(len(out))
	header := elf.Header64{
		Ident: [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), 1}, Type: uint16(elf.ET_DYN),
		Machine: uint16(machine), Version: 1, Entry: codeAddr + 0x8000, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 2,
	}
	if !p.noSections {
		header.Shoff, header.Shentsize, header.Shnum, header.Shstrndx = sections, 64, 3, 2
		out = le(out, elf.Section64{},
			elf.Section64{Name: 1, Type: uint32(elf.SHT_PROGBITS), Addr: headers, Off: headers, Size: uint64(len(frames))},
			elf.Section64{Name: 11, Type: uint32(elf.SHT_STRTAB), Off: names, Size: sections - names})
	}
	second := elf.Prog64{Type: uint32(elf.PT_NULL)}
	if !p.noSearch {
		second = elf.Prog64{Type: uint32(elf.PT_GNU_EH_FRAME), Off: search, Vaddr: search, Filesz: searchSize}
	}
	copy(out, le(nil, header, elf.Prog64{Type: uint32(elf.PT_LOAD), Filesz: uint64(len(out)), Memsz: uint64(len(out))}, second))
	return out
}

// frames writes .eh_frame, and returns the starts of the functions and the addresses of their FDEs.
func (p *program) frames(addr uint64) (out []byte, starts, places []uint64) {
	cie := le(nil, uint32(0), byte(1))
	if p.augmentation == "" {
		cie = append(cie, "zR\x00"...)
	} else {
		cie = append(append(cie, p.augmentation...), 0)
	}
	cie = append(cie, 1, 0x78, RegisterIP) // alignment of code 1, of data -8
	if p.augmentation == "" {
		cie = append(cie, 1, pointerRelative|0x0b)
	} else {
		cie = append(cie, p.data...)
	}
	if p.cie == nil {
		cie = append(cie, entry()...)
	}
	out = padded(append(cie, p.cie...))
	start := uint64(codeAddr)
	for _, f := range p.functions {
		start += uint64(f.gap)
		starts, places = append(starts, start), append(places, addr+uint64(len(out)))
		at := uint32(len(out)) + 4
		b := le(nil, at, uint32(start-addr-uint64(at)-4), f.size, byte(0))
		out = append(out, padded(append(b, f.code...))...)
		start += uint64(f.size)
	}
	return append(out, 0, 0, 0, 0), starts, places
}

func (p *program) searchTable(addr, frames uint64, starts, places []uint64) []byte {
	encoding := byte(pointerData | 0x0b)
	if p.wide {
		encoding = pointerData | 0x0c
	}
	if p.noTable {
		return le([]byte{1, pointerRelative | 0x0b, pointerOmitted, pointerOmitted}, uint32(frames-addr-4))
	}
	out := le([]byte{1, pointerRelative | 0x0b, 0x03, encoding}, uint32(frames-addr-4), uint32(len(starts)))
	for i := range starts {
		if p.wide {
			out = le(out, starts[i]-addr, places[i]-addr)
		} else {
			out = le(out, uint32(starts[i]-addr), uint32(places[i]-addr))
		}
	}
	return out
}

// table builds the file and its table.
func (p *program) table(t testing.TB) *Table {
	t.Helper()
	b := p.build()
	table, err := NewTable(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return table
}
