// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"debug/dwarf"
	"debug/elf"
	"errors"

	"github.com/gizmo-ebpf/gizmo/internal/plain"
)

// maxCompiler is how long the name of a compiler may be, in bytes. Real names have some 40, or 150 with the address and the
// commit of their source.
const maxCompiler = 512

// compilerOf returns the name of the compiler from the object's debug information (DWARF); empty if it has none.
// Most objects are stripped: only BTF is left, which does not name the compiler.
func compilerOf(data []byte) string {
	name, err := producer(data)
	if err != nil || len(name) > maxCompiler {
		return ""
	}
	return plain.Text(name)
}

var errNoProducer = errors.New("no compiler is named")

func producer(data []byte) (name string, err error) {
	defer recoverError(&err)
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return "", err
	}
	if f.Section(".debug_info") == nil {
		return "", errNoProducer
	}
	// The offsets in these sections need no relocation, and elf.File.DWARF does not know BPF's relocations.
	debug, err := dwarf.New(section(f, ".debug_abbrev"), nil, nil, section(f, ".debug_info"), nil, nil, nil, section(f, ".debug_str"))
	if err != nil {
		return "", err
	}
	for _, name := range []string{".debug_str_offsets", ".debug_addr", ".debug_line_str"} {
		if err := debug.AddSection(name, section(f, name)); err != nil {
			return "", err
		}
	}
	unit, err := debug.Reader().Next()
	if err != nil || unit == nil {
		return "", errors.Join(err, errNoProducer)
	}
	name, _ = unit.Val(dwarf.AttrProducer).(string)
	return name, nil
}

// section returns the bytes of a section; nil if there is none.
func section(f *elf.File, name string) []byte {
	s := f.Section(name)
	if s == nil || s.Type == elf.SHT_NOBITS {
		return nil
	}
	data, err := s.Data()
	if err != nil {
		return nil
	}
	return data
}
