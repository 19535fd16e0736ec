// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package symbols

import (
	"debug/elf"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gizmo-ebpf/gizmo/internal/elffile"
	"github.com/gizmo-ebpf/gizmo/internal/nearest"
)

// The limits of the search for a hint. For a larger file the hint may be worse.
const (
	maxHintNames = 8 << 20 // bytes
	maxHints     = 100_000
	maxHintName  = 128 // bytes
	maxVersions  = 8
)

// errEnough ends the collection of names.
var errEnough = errors.New("enough names")

// notFound says that there is no function of that name, and suggests another.
func notFound(f *elffile.File, name string) error {
	table := f.SectionOf(elf.SHT_SYMTAB)
	exported := table == nil
	if exported {
		table = f.SectionOf(elf.SHT_DYNSYM)
	}
	base, _, versioned := strings.Cut(name, "@")
	if list, _ := searchTable(f, f.SectionOf(elf.SHT_DYNSYM), base); versioned && len(list) > 0 {
		return fmt.Errorf("%w; there is %s", ErrNotFound, versionsOf(list))
	}
	names := functionNames(f, table)
	for _, other := range names {
		if strings.HasPrefix(other, base+".") {
			return fmt.Errorf("%w: the compiler replaced it with %s", ErrNotFound, other)
		}
	}
	why := "; the compiler may have inlined it"
	if exported {
		why = "; the file is stripped, and only functions that it exports can be found"
	}
	if hint := nearest.Hint(base, names); hint != "" {
		why = hint
	}
	return fmt.Errorf("%w%s", ErrNotFound, why)
}

// versionsOf lists the versions of a symbol, some of them if there are many.
func versionsOf(list []symbol) string {
	var texts []string
	for _, s := range list[:min(maxVersions, len(list))] {
		texts = append(texts, s.versionedName())
	}
	slices.Sort(texts)
	return strings.Join(texts, ", ")
}

// functionNames lists the functions of a table, as far as that is cheap.
func functionNames(f *elffile.File, table *elffile.Section) []string {
	if table == nil {
		return nil
	}
	section, err := f.SymbolNames(table)
	if err != nil {
		return nil
	}
	text, err := f.Bytes(section, maxHintNames)
	if err != nil {
		return nil
	}
	var names []string
	_ = f.EachSymbol(table, func(_ int, s elffile.Symbol) error {
		if len(names) == maxHints {
			return errEnough
		}
		if s.IsCode() && s.Kind() != elf.STT_NOTYPE {
			names = append(names, elffile.String(text, uint64(s.NameAt), maxHintName))
		}
		return nil
	})
	return names
}
