// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package calls

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// System holds the facts about the machine that a program depends on.
type System struct {
	machine elf.Machine
	globDat uint32 // the relocation for the address of a symbol
	loader  string // path of the dynamic loader
	libc    string // name of the C library
}

// FindSystem asks a program that each system has, such as /bin/sh.
func FindSystem(path string) (System, error) {
	f, err := elf.Open(path)
	if err != nil {
		return System{}, err
	}
	defer f.Close()
	s := System{machine: f.Machine}
	switch f.Machine {
	case elf.EM_X86_64:
		s.globDat = uint32(elf.R_X86_64_GLOB_DAT)
	case elf.EM_AARCH64:
		s.globDat = uint32(elf.R_AARCH64_GLOB_DAT)
	default:
		return System{}, fmt.Errorf("%s is for %s, which this program does not know", path, f.Machine)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			name := make([]byte, p.Filesz)
			if _, err := p.ReadAt(name, 0); err != nil {
				return System{}, fmt.Errorf("%s: %w", path, err)
			}
			s.loader = strings.TrimRight(string(name), "\x00")
		}
	}
	libs, err := f.ImportedLibraries()
	for _, lib := range libs {
		if strings.HasPrefix(lib, "libc.") {
			s.libc = lib
		}
	}
	if err == nil && (s.loader == "" || s.libc == "") {
		err = errors.New("it is not linked with a C library")
	}
	if err != nil {
		return System{}, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// image is the memory of a program, and its file.
type image []byte

// put stores a value at an address, or after the existing contents if the address is 0, and returns its address.
func (m *image) put(address uint64, value any) uint64 {
	if address == 0 {
		address = baseAddress + uint64(len(*m)+15)&^15
	}
	data, offset := encode(value), int(address-baseAddress)
	if missing := offset + len(data) - len(*m); missing > 0 {
		*m = append(*m, make([]byte, missing)...)
	}
	copy((*m)[offset:], data)
	return address
}

// encode returns a value as memory has it.
func encode(value any) []byte {
	var b bytes.Buffer
	if err := binary.Write(&b, binary.LittleEndian, value); err != nil {
		panic(err) // no fixed size: a mistake in this program
	}
	return b.Bytes()
}

const (
	headerSize = 64
	progSize   = 56
	maxProgs   = 8
)

// file returns the program as the contents of a file.
func (p *Program) file(s System) []byte {
	if len(p.steps) > maxSteps {
		panic("too many steps")
	}
	m := new(image)
	loader := []byte(s.loader + "\x00")
	interp := m.put(baseAddress+headerSize+maxProgs*progSize, loader)
	code := loopCode()
	entry := m.put(0, code)
	codeSize := uint64(len(*m))
	for i, step := range p.steps {
		for j, w := range step {
			m.put(stepsAddress+uint64(64*i+8*j), w.Address())
		}
	}
	m.put(wordsAddress, p.words)
	dynamic, dynamicSize := p.putDynamic(m, s)

	progs := []elf.Prog64{
		{Type: uint32(elf.PT_INTERP), Flags: uint32(elf.PF_R), Vaddr: interp, Filesz: uint64(len(loader)), Align: 1},
		{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Vaddr: baseAddress, Filesz: codeSize, Align: 0x10000},
		{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_W), Vaddr: stepsAddress,
			Filesz: baseAddress + uint64(len(*m)) - stepsAddress, Align: 0x10000},
		{Type: uint32(elf.PT_DYNAMIC), Flags: uint32(elf.PF_R | elf.PF_W), Vaddr: dynamic, Filesz: dynamicSize, Align: 8},
		{Type: uint32(elf.PT_GNU_STACK), Flags: uint32(elf.PF_R | elf.PF_W), Vaddr: baseAddress},
	}
	for i := range progs {
		progs[i].Off, progs[i].Paddr, progs[i].Memsz = progs[i].Vaddr-baseAddress, progs[i].Vaddr, progs[i].Filesz
	}
	m.put(baseAddress+headerSize, progs)
	m.put(baseAddress, elf.Header64{
		Ident:   [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:    uint16(elf.ET_EXEC),
		Machine: uint16(s.machine),
		Version: uint32(elf.EV_CURRENT),
		Entry:   entry,
		Phoff:   headerSize, Ehsize: headerSize, Phentsize: progSize, Phnum: uint16(len(progs)),
	})
	return *m
}

// putDynamic writes the tables for the dynamic loader, and returns the address and the size of the main
// one.
func (p *Program) putDynamic(m *image, s System) (address, size uint64) {
	var needed []elf.Dyn64
	names := []byte{0}
	for _, lib := range append([]string{s.libc}, p.libs...) {
		needed = append(needed, elf.Dyn64{Tag: int64(elf.DT_NEEDED), Val: uint64(len(names))})
		names = append(names, lib+"\x00"...)
	}
	symbols := []elf.Sym64{{}}
	var relocs []elf.Rela64
	for i, f := range p.funcs {
		symbols = append(symbols, elf.Sym64{Name: uint32(len(names)), Info: elf.ST_INFO(elf.STB_GLOBAL, elf.STT_FUNC)})
		relocs = append(relocs, elf.Rela64{Off: p.addrs[i].Address(), Info: elf.R_INFO(uint32(i+1), s.globDat)})
		names = append(names, f+"\x00"...)
	}
	// One empty bucket: the program exports no symbols.
	hash := append([]uint32{1, uint32(len(symbols)), 0}, make([]uint32, len(symbols))...)
	table := append(needed, []elf.Dyn64{
		{Tag: int64(elf.DT_STRTAB), Val: m.put(0, names)},
		{Tag: int64(elf.DT_STRSZ), Val: uint64(len(names))},
		{Tag: int64(elf.DT_SYMTAB), Val: m.put(0, symbols)},
		{Tag: int64(elf.DT_SYMENT), Val: elf.Sym64Size},
		{Tag: int64(elf.DT_HASH), Val: m.put(0, hash)},
		{Tag: int64(elf.DT_RELA), Val: m.put(0, relocs)},
		{Tag: int64(elf.DT_RELASZ), Val: uint64(len(encode(relocs)))},
		{Tag: int64(elf.DT_RELAENT), Val: uint64(len(encode(elf.Rela64{})))},
		{Tag: int64(elf.DT_NULL)},
	}...)
	return m.put(0, table), uint64(len(encode(table)))
}
