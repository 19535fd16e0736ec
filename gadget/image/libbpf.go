// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"slices"
	"sort"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
)

// Objects are written for libbpf. This file implements features of libbpf that the library here
// lacks and that sources that include <bpf/usdt.bpf.h> need.

// strengthenMaps returns the object with its weak maps made ordinary maps. A header that declares maps
// makes them weak so that several objects can be linked into one. In an object that will not be linked again
// this makes no difference.
func strengthenMaps(object []byte) (_ []byte, err error) {
	defer recoverError(&err)
	f, err := elf.NewFile(bytes.NewReader(object))
	if err != nil {
		return nil, err
	}
	table := f.SectionByType(elf.SHT_SYMTAB)
	if table == nil || table.FileSize > uint64(len(object)) || table.Offset > uint64(len(object))-table.FileSize {
		return object, nil
	}
	changed := false
	const size, info, section = 24, 4, 6 // uint32 name, uint8 info, uint8 other, uint16 section, …
	for off := table.Offset; off+size <= table.Offset+table.FileSize; off += size {
		n := int(binary.LittleEndian.Uint16(object[off+section:]))
		if elf.ST_BIND(object[off+info]) != elf.STB_WEAK || n >= len(f.Sections) || f.Sections[n].Name != ".maps" {
			continue
		}
		if !changed {
			object, changed = bytes.Clone(object), true
		}
		object[off+info] = elf.ST_INFO(elf.STB_GLOBAL, elf.ST_TYPE(object[off+info]))
	}
	return object, nil
}

// finishSpec completes the result of the library's reading of an object.
func finishSpec(spec *ebpf.CollectionSpec, object []byte) (err error) {
	defer recoverError(&err)
	f, err := elf.NewFile(bytes.NewReader(object))
	if err != nil {
		return err
	}
	symbols, err := f.Symbols()
	if err != nil {
		return err
	}
	hideFunctions(spec, symbols)
	return replaceCookieFlag(spec, f, symbols)
}

// hideFunctions makes hidden functions static. The kernel's verifier checks a
// global function separately, without knowing its callers' arguments; a hidden function is global only for the
// linker.
func hideFunctions(spec *ebpf.CollectionSpec, symbols []elf.Symbol) {
	hidden := make(map[string]bool)
	for _, s := range symbols {
		if v := elf.ST_VISIBILITY(s.Other); elf.ST_TYPE(s.Info) == elf.STT_FUNC && (v == elf.STV_HIDDEN || v == elf.STV_INTERNAL) {
			hidden[s.Name] = true
		}
	}
	if len(hidden) == 0 {
		return
	}
	for _, p := range spec.Programs {
		for i := range p.Instructions {
			ins := &p.Instructions[i]
			f := btf.FuncMetadata(ins)
			if f == nil || !hidden[f.Name] || f.Linkage != btf.GlobalFunc {
				continue
			}
			static := *f
			static.Linkage = btf.StaticFunc
			*ins = btf.WithFuncMetadata(*ins, &static)
		}
	}
}

// <bpf/usdt.bpf.h> tests with this constant whether the kernel supports cookies. Only libbpf
// knows the constant: the library takes it for an option of the kernel's configuration, and fails. So
// gizmo replaces it by a map with its value.
const (
	cookieFlag    = "LINUX_HAS_BPF_COOKIE"
	cookieFlagMap = ".has_bpf_cookie"
)

// readOnlyForPrograms is the flag BPF_F_RDONLY_PROG of a map.
const readOnlyForPrograms = 1 << 7

// SetCookieFlag tells the programs of an object, if they use the constant, whether the kernel has cookies.
func SetCookieFlag(spec *ebpf.CollectionSpec, cookies func() bool) {
	m := spec.Maps[cookieFlagMap]
	if m == nil {
		return
	}
	value := []byte{0}
	if cookies() {
		value[0] = 1
	}
	m.Contents = []ebpf.MapKV{{Key: uint32(0), Value: value}}
}

// instructionAt is a place in an object's code: the offset is in bytes from the start of the function.
type instructionAt struct {
	function string
	offset   uint64
}

// replaceCookieFlag has the instructions that load the constant's address load that of the map's value.
func replaceCookieFlag(spec *ebpf.CollectionSpec, f *elf.File, symbols []elf.Symbol) error {
	places, err := cookieFlagLoads(f, symbols)
	if err != nil || len(places) == 0 {
		return err
	}
	for _, p := range spec.Programs {
		function, start := "", uint64(0)
		for iter := p.Instructions.Iterate(); iter.Next(); {
			at := uint64(iter.Offset) * asm.InstructionSize
			if name := iter.Ins.Symbol(); name != "" {
				function, start = name, at
			}
			if places[instructionAt{function, at - start}] && iter.Ins.OpCode.IsDWordLoad() {
				*iter.Ins = loadFlag(iter.Ins)
			}
		}
	}
	spec.Maps[cookieFlagMap] = &ebpf.MapSpec{
		Name: cookieFlagMap, Type: ebpf.Array, KeySize: 4, ValueSize: 1, MaxEntries: 1, Flags: readOnlyForPrograms,
	}
	return nil
}

// loadFlag makes a new instruction, because the library's metadata cannot be removed from the old one.
func loadFlag(old *asm.Instruction) asm.Instruction {
	ins := asm.LoadMapValue(old.Dst, 0, 0).WithReference(cookieFlagMap).WithSource(old.Source())
	if name := old.Symbol(); name != "" {
		ins = ins.WithSymbol(name)
	}
	if f := btf.FuncMetadata(old); f != nil {
		ins = btf.WithFuncMetadata(ins, f)
	}
	return ins
}

// cookieFlagLoads finds the relocations that refer to the constant.
func cookieFlagLoads(f *elf.File, symbols []elf.Symbol) (map[instructionAt]bool, error) {
	if !slices.ContainsFunc(symbols, func(s elf.Symbol) bool { return s.Name == cookieFlag }) {
		return nil, nil
	}
	places := make(map[instructionAt]bool)
	for _, s := range f.Sections {
		if s.Type != elf.SHT_REL {
			continue
		}
		functions := functionsOf(symbols, elf.SectionIndex(s.Info))
		data, err := s.Data()
		if err != nil {
			return nil, fmt.Errorf("section %s: %w", s.Name, err)
		}
		const size, symbol = 16, 12 // uint64 offset, uint32 type, uint32 symbol, counted from 1
		for ; len(data) >= size; data = data[size:] {
			n := uint64(binary.LittleEndian.Uint32(data[symbol:]))
			if n == 0 || n > uint64(len(symbols)) || symbols[n-1].Name != cookieFlag {
				continue
			}
			if at, ok := placeIn(functions, binary.LittleEndian.Uint64(data)); ok {
				places[at] = true
			}
		}
	}
	return places, nil
}

// functionsOf returns the functions of a section in the order of their code.
func functionsOf(symbols []elf.Symbol, section elf.SectionIndex) []elf.Symbol {
	var list []elf.Symbol
	for _, s := range symbols {
		if s.Section == section && elf.ST_TYPE(s.Info) == elf.STT_FUNC {
			list = append(list, s)
		}
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Value < list[j].Value })
	return list
}

func placeIn(functions []elf.Symbol, offset uint64) (instructionAt, bool) {
	i := sort.Search(len(functions), func(i int) bool { return functions[i].Value > offset }) - 1
	if i < 0 {
		return instructionAt{}, false
	}
	return instructionAt{functions[i].Name, offset - functions[i].Value}, true
}
