// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package symbols

import (
	"debug/elf"
	"fmt"
	"slices"
	"strings"

	"github.com/gizmo-ebpf/gizmo/internal/elffile"
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
	elffile.Symbol
	name    string
	version string // of a dynamic symbol
	old     bool   // a version that is kept for programs linked long ago
}

// rank orders symbols of the same name: the one with the lowest rank is most likely the right one.
func (s *symbol) rank() int {
	rank := 0
	if s.Kind() == elf.STT_NOTYPE {
		rank += 4
	}
	if s.Binding() == elf.STB_LOCAL {
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
	err = f.EachSymbol(section, func(index int, entry elffile.Symbol) error {
		if _, ok := slices.BinarySearch(places, entry.NameAt); !ok {
			return nil
		}
		if len(found) == maxFound {
			return fmt.Errorf("more than %d symbols are called %s", maxFound, name)
		}
		s := symbol{Symbol: entry, name: name}
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
	text, err := f.SymbolNames(section)
	if err != nil {
		return nil, err
	}
	names, err := f.Reader(text, maxNames)
	if err != nil {
		return nil, err
	}
	return occurrences(names, name)
}
