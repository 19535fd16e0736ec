// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package elffile

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	maxSymbols = 256 << 20 // bytes in a table; browsers with all their symbols have less
	piece      = 64 << 10  // bytes read at a time
)

// Symbol is an entry of a table of symbols.
type Symbol struct {
	NameAt      uint32 // where its name begins in the table of names
	Info        byte
	Section     elf.SectionIndex
	Value, Size uint64
}

// Kind says what the symbol names.
func (s *Symbol) Kind() elf.SymType { return elf.ST_TYPE(s.Info) }

// Binding says where the symbol can be seen.
func (s *Symbol) Binding() elf.SymBind { return elf.ST_BIND(s.Info) }

// IsCode reports whether the symbol may be that of a function in this file. Assemblers give their
// labels no type.
func (s *Symbol) IsCode() bool {
	if s.Section == elf.SHN_UNDEF || s.Section == elf.SHN_ABS || s.Section == elf.SHN_COMMON {
		return false
	}
	return s.Kind() == elf.STT_FUNC || s.Kind() == elf.STT_GNU_IFUNC || s.Kind() == elf.STT_NOTYPE
}

// SymbolNames returns the section with the names of a table's symbols.
func (f *File) SymbolNames(table *Section) (*Section, error) {
	if uint64(table.Link) >= uint64(len(f.Sections)) {
		return nil, fmt.Errorf("section %q has no names", table.Name)
	}
	return &f.Sections[table.Link], nil
}

// EachSymbol calls visit for the symbols of a table until visit returns an error, which it returns. It reads no names,
// and holds only a piece of the table at a time. A table of the other kind of file is not a table.
func (f *File) EachSymbol(table *Section, visit func(index int, s Symbol) error) error {
	r, err := f.Reader(table, maxSymbols)
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
			if err := visit(index, decode(b)); err != nil {
				return err
			}
			index++
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return fmt.Errorf("section %q: %w", table.Name, err)
		}
	}
}

func decode64(b []byte) Symbol {
	return Symbol{
		NameAt:  binary.LittleEndian.Uint32(b),
		Info:    b[4],
		Section: elf.SectionIndex(binary.LittleEndian.Uint16(b[6:])),
		Value:   binary.LittleEndian.Uint64(b[8:]),
		Size:    binary.LittleEndian.Uint64(b[16:]),
	}
}

func decode32(b []byte) Symbol {
	return Symbol{
		NameAt:  binary.LittleEndian.Uint32(b),
		Info:    b[12],
		Section: elf.SectionIndex(binary.LittleEndian.Uint16(b[14:])),
		Value:   uint64(binary.LittleEndian.Uint32(b[4:])),
		Size:    uint64(binary.LittleEndian.Uint32(b[8:])),
	}
}
