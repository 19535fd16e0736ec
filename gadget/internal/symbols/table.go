// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package symbols

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gizmo-ebpf/gizmo/gadget/internal/elffile"
)

// Bounds above those of the largest programs there are, browsers with all their symbols.
const (
	maxTable = 256 << 20 // bytes of symbols
	maxNames = 1 << 30   // bytes of their names
	// maxPlaces is how often the name may occur in the table of names. The linker uses the end of one
	// name for another, so a name may occur more than once.
	maxPlaces = 1 << 20
	maxFound  = 256 // symbols of one name
	piece     = 64 << 10
)

// symbol is one entry of a table.
type symbol struct {
	name        string
	version     string // of a dynamic symbol
	old         bool   // a version that is kept for programs linked long ago
	info        byte
	section     elf.SectionIndex
	value, size uint64
}

func (s *symbol) kind() elf.SymType    { return elf.ST_TYPE(s.info) }
func (s *symbol) binding() elf.SymBind { return elf.ST_BIND(s.info) }

// isCode reports whether the symbol may be that of a function in this file. Assemblers give their
// labels no type.
func (s *symbol) isCode() bool {
	if s.section == elf.SHN_UNDEF || s.section == elf.SHN_ABS || s.section == elf.SHN_COMMON {
		return false
	}
	return s.kind() == elf.STT_FUNC || s.kind() == elf.STT_GNU_IFUNC || s.kind() == elf.STT_NOTYPE
}

// rank orders symbols of the same name: the one with the lowest rank is most likely the right one.
func (s *symbol) rank() int {
	rank := 0
	if s.kind() == elf.STT_NOTYPE {
		rank += 4
	}
	if s.binding() == elf.STB_LOCAL {
		rank += 2
	}
	if s.old {
		rank++
	}
	return rank
}

// versionedName is the name as the linker writes it: with two signs for the version that new programs
// get.
func (s *symbol) versionedName() string {
	switch {
	case s.version == "":
		return s.name
	case s.old:
		return s.name + "@" + s.version
	}
	return s.name + "@@" + s.version
}

// search returns all symbols of the name. If it names a version, only those of that version count;
// "@@" asks for the version that new programs get.
func search(f *elffile.File, name string) ([]symbol, error) {
	var found []symbol
	for _, t := range []elf.SectionType{elf.SHT_DYNSYM, elf.SHT_SYMTAB} {
		list, err := searchTable(f, f.SectionOf(t), name)
		if err != nil {
			return nil, err
		}
		found = append(found, list...)
	}
	base, version, ok := strings.Cut(name, "@")
	if !ok || base == "" {
		return found, nil
	}
	list, err := searchTable(f, f.SectionOf(elf.SHT_DYNSYM), base)
	if err != nil {
		return nil, err
	}
	version, newest := strings.CutPrefix(version, "@")
	for _, s := range list {
		if s.version == version && !(newest && s.old) {
			found = append(found, s)
		}
	}
	return found, nil
}

// searchTable returns the symbols of a table, which may be nil, that have the name.
func searchTable(f *elffile.File, section *elffile.Section, name string) ([]symbol, error) {
	if section == nil {
		return nil, nil
	}
	places, err := placesOf(f, section, name)
	if err != nil || len(places) == 0 {
		return nil, err
	}
	var versions *versions
	if section.Type == elf.SHT_DYNSYM {
		if versions, err = openVersions(f); err != nil {
			return nil, err
		}
	}
	var found []symbol
	err = eachSymbol(f, section, func(index int, nameAt uint32, s symbol) error {
		if _, ok := slices.BinarySearch(places, nameAt); !ok {
			return nil
		}
		if len(found) == maxFound {
			return fmt.Errorf("more than %d symbols are called %s", maxFound, name)
		}
		s.name = name
		if err := versions.set(&s, index); err != nil {
			return err
		}
		found = append(found, s)
		return nil
	})
	return found, err
}

// placesOf returns where in the table's names the name begins, in order.
func placesOf(f *elffile.File, section *elffile.Section, name string) ([]uint32, error) {
	if uint64(section.Link) >= uint64(len(f.Sections)) {
		return nil, fmt.Errorf("section %q has no names", section.Name)
	}
	names, err := f.Reader(&f.Sections[section.Link], maxNames)
	if err != nil {
		return nil, err
	}
	return occurrences(names, name)
}

// eachSymbol calls visit for the symbols of a table, whose names are not read. A table of the other
// kind of file is not a table.
func eachSymbol(f *elffile.File, section *elffile.Section, visit func(index int, nameAt uint32, s symbol) error) error {
	r, err := f.Reader(section, maxTable)
	if err != nil {
		return err
	}
	size, decode := 24, decode64
	if !f.Wide {
		size, decode = 16, decode32
	}
	buf := make([]byte, piece/size*size)
	for index := 0; ; {
		n, err := io.ReadFull(r, buf)
		for b := buf[:n]; len(b) >= size; b = b[size:] {
			nameAt, s := decode(b)
			if err := visit(index, nameAt, s); err != nil {
				return err
			}
			index++
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return fmt.Errorf("section %q: %w", section.Name, err)
		}
	}
}

func decode64(b []byte) (uint32, symbol) {
	return binary.LittleEndian.Uint32(b), symbol{
		info:    b[4],
		section: elf.SectionIndex(binary.LittleEndian.Uint16(b[6:])),
		value:   binary.LittleEndian.Uint64(b[8:]),
		size:    binary.LittleEndian.Uint64(b[16:]),
	}
}

func decode32(b []byte) (uint32, symbol) {
	return binary.LittleEndian.Uint32(b), symbol{
		info:    b[12],
		section: elf.SectionIndex(binary.LittleEndian.Uint16(b[14:])),
		value:   uint64(binary.LittleEndian.Uint32(b[4:])),
		size:    uint64(binary.LittleEndian.Uint32(b[8:])),
	}
}
