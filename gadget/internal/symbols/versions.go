// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package symbols

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/gizmo-ebpf/gizmo/internal/elffile"
)

const (
	maxVersionTable = 1 << 20 // bytes of definitions; the C library has 2000
	maxVersionName  = 256
	oldVersion      = 0x8000 // in a symbol's version: not for programs that are linked from now on
)

// GNU's types of sections, which debug/elf calls otherwise.
const (
	sectionVersionOfSymbol = elf.SHT_GNU_VERSYM
	sectionVersions        = elf.SHT_GNU_VERDEF
)

// versions knows the versions of a library's symbols. Nil is that of a file without.
type versions struct {
	ofSymbol *io.SectionReader // two bytes for each dynamic symbol
	names    map[uint16]string
}

func openVersions(f *elffile.File) (*versions, error) {
	ofSymbol, definitions := f.SectionOf(sectionVersionOfSymbol), f.SectionOf(sectionVersions)
	if ofSymbol == nil || definitions == nil {
		return nil, nil
	}
	r, err := f.Reader(ofSymbol, maxTable)
	if err != nil {
		return nil, err
	}
	names, err := versionNames(f, definitions)
	if err != nil {
		return nil, fmt.Errorf("section %q: %w", definitions.Name, err)
	}
	return &versions{ofSymbol: r, names: names}, nil
}

// set sets the version of a symbol.
func (v *versions) set(s *symbol, index int) error {
	if v == nil {
		return nil
	}
	var b [2]byte
	if _, err := v.ofSymbol.ReadAt(b[:], int64(index)*2); err != nil {
		return fmt.Errorf("version of symbol %d: %w", index, err)
	}
	n := binary.LittleEndian.Uint16(b[:])
	s.old = n&oldVersion != 0
	s.version = v.names[n&^oldVersion]
	return nil
}

// Sizes and offsets of the definitions' records.
const (
	definitionSize  = 20
	definitionIndex = 4
	definitionAux   = 12
	definitionNext  = 16
)

// versionNames reads the chain of definitions. Each record says where the next one is; versionNames follows only
// steps forward, so that the chain ends.
func versionNames(f *elffile.File, section *elffile.Section) (map[uint16]string, error) {
	b, err := f.Bytes(section, maxVersionTable)
	if err != nil {
		return nil, err
	}
	if uint64(section.Link) >= uint64(len(f.Sections)) {
		return nil, fmt.Errorf("it has no names")
	}
	text, err := f.Reader(&f.Sections[section.Link], maxNames)
	if err != nil {
		return nil, err
	}
	names := make(map[uint16]string)
	for len(b) >= definitionSize {
		index := binary.LittleEndian.Uint16(b[definitionIndex:])
		aux := uint64(binary.LittleEndian.Uint32(b[definitionAux:]))
		next := uint64(binary.LittleEndian.Uint32(b[definitionNext:]))
		if aux+4 <= uint64(len(b)) {
			at := binary.LittleEndian.Uint32(b[aux:])
			names[index&^oldVersion] = stringAt(text, int64(at))
		}
		if next == 0 || next > uint64(len(b)) {
			break
		}
		b = b[next:]
	}
	return names, nil
}

// stringAt reads the name that begins at a place in a table of names.
func stringAt(r io.ReaderAt, at int64) string {
	b := make([]byte, maxVersionName)
	n, _ := r.ReadAt(b, at) // what cannot be read is no name
	return elffile.String(b[:n], 0, maxVersionName)
}
