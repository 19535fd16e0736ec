// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package gofuncs reads the table with which Go's runtime prints stacks. The linker puts it into every Go program, and strip
// leaves it alone.
//
// The files belong to the programs that are observed, so the package does not trust their contents.
package gofuncs

import (
	"bufio"
	"debug/gosym"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/gizmo-ebpf/gizmo/internal/elffile"
)

// Table is the table of one file. It holds nothing of the table but its header. Its layout is that
// of the runtime's pcHeader, functab and _func (runtime/symtab.go) since Go 1.18:
//
//	header   magic uint32, 2 zero bytes, uint8 step, uint8 pointer size, then eight words: functions, files,
//	         start of the code (0 since Go 1.26), names, units, file names, pc values, functions' table
//	table    for each function uint32 entry, uint32 record; then uint32 end of the code
//	record   uint32 entry, int32 name, …
//
// Entries count from the start of the code, names from that of the names, records from that of the
// table.
type Table struct {
	// Code is the address where the code starts; 0 if it is unknown.
	Code uint64
	// Count is the number of functions.
	Count uint64

	table        *io.SectionReader
	names, funcs uint64 // places in the table
	namesEnd     uint64
}

const (
	maxTable   = 1 << 30 // bytes
	maxFuncs   = 8 << 20
	headerSize = 8 + 8*8
	pairSize   = 8
	piece      = 64 << 10 // bytes read at a time

	magic118 = 0xfffffff0
	magic120 = 0xfffffff1

	// moduleText is where in the runtime's moduledata the start of the code is, since Go 1.26 has it
	// only there.
	moduleText = 176
)

// errOld is about tables of another layout.
var errOld = errors.New("gizmo cannot read this table of Go functions: the program was built with Go before 1.18, or is a 32-bit program")

// Names of sections.
const (
	tableName    = ".gopclntab"
	oldTableName = ".data.rel.ro.gopclntab" // position independent, before Go 1.26
	moduleName   = ".go.module"
)

// Sections returns the names of the sections that [Open] reads.
func Sections() []string { return []string{tableName, oldTableName, moduleName} }

// Open returns the table of a file, or nil if the file has none.
func Open(f *elffile.File) (*Table, error) {
	section := f.Section(tableName)
	if section == nil {
		section = f.Section(oldTableName)
	}
	if section == nil {
		return nil, nil
	}
	g, err := read(f, section)
	if err != nil {
		return nil, fmt.Errorf("section %q: %w", section.Name, err)
	}
	return g, nil
}

func read(f *elffile.File, section *elffile.Section) (*Table, error) {
	r, err := f.Reader(section, maxTable)
	if err != nil {
		return nil, err
	}
	var b [headerSize]byte
	if _, err := r.ReadAt(b[:], 0); err != nil {
		return nil, elffile.ErrTruncated
	}
	magic := binary.LittleEndian.Uint32(b[:])
	if (magic != magic118 && magic != magic120) || b[7] != 8 || !f.Wide {
		return nil, errOld
	}
	word := func(n int) uint64 { return binary.LittleEndian.Uint64(b[8+8*n:]) }
	g := &Table{table: r, Count: word(0), Code: word(2), names: word(3), namesEnd: word(4), funcs: word(7)}
	size := uint64(r.Size())
	if g.Count > maxFuncs || g.names > g.namesEnd || g.namesEnd > size || g.funcs > size ||
		(g.Count+1)*pairSize > size-g.funcs {
		return nil, errors.New("its parts are outside of it")
	}
	if g.Code == 0 {
		g.Code = moduleCode(f)
	}
	return g, nil
}

// moduleCode returns the start of the code from the runtime's data, or 0.
func moduleCode(f *elffile.File) uint64 {
	section := f.Section(moduleName)
	if section == nil {
		return 0
	}
	r, err := f.Reader(section, maxTable)
	if err != nil {
		return 0
	}
	var b [8]byte
	if _, err := r.ReadAt(b[:], moduleText); err != nil {
		return 0
	}
	return binary.LittleEndian.Uint64(b[:])
}

// Names returns the names of the functions. Each ends with a zero byte.
func (t *Table) Names() *io.SectionReader {
	return io.NewSectionReader(t.table, int64(t.names), int64(t.namesEnd-t.names))
}

// maxLines is the size of the largest table that Lines reads.
const maxLines = 128 << 20

// Lines reads the whole table, from which it can be found out which line an address comes from.
func (t *Table) Lines() (*gosym.Table, error) {
	if t.Code == 0 || t.table.Size() > maxLines {
		return nil, errors.New("gizmo cannot read the lines in this table of Go functions")
	}
	data := make([]byte, t.table.Size())
	if _, err := t.table.ReadAt(data, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, elffile.ErrTruncated
	}
	return gosym.NewTable(nil, gosym.NewLineTable(data, t.Code))
}

// Contains reports whether an address is in the code that Go's compiler made, or if that is not known.
func (t *Table) Contains(addr uint64) bool {
	end, err := t.End()
	if err != nil || t.Code == 0 {
		return true
	}
	return addr >= t.Code && addr-t.Code < uint64(end)
}

// End returns where the code ends, counted from its start.
func (t *Table) End() (uint32, error) {
	var end [4]byte
	if _, err := t.table.ReadAt(end[:], int64(t.funcs+t.Count*pairSize)); err != nil {
		return 0, elffile.ErrTruncated
	}
	return binary.LittleEndian.Uint32(end[:]), nil
}

// Each calls visit for the functions, in the order of their addresses, until visit returns an error, which it returns:
// where the function starts, counted from the start of the code, and where its name is in the names. The
// records have the same order as the functions, so both are read from front to back.
func (t *Table) Each(visit func(entry, nameAt uint32) error) error {
	size := t.table.Size() - int64(t.funcs)
	pairs := bufio.NewReaderSize(io.NewSectionReader(t.table, int64(t.funcs), size), piece)
	records := bufio.NewReaderSize(io.NewSectionReader(t.table, int64(t.funcs), size), piece)
	var pair, record [8]byte
	at := 0 // how far the records have been read
	for range t.Count {
		if _, err := io.ReadFull(pairs, pair[:]); err != nil {
			return elffile.ErrTruncated
		}
		next := int(binary.LittleEndian.Uint32(pair[4:]))
		if next < at {
			return errors.New("the records of its functions are out of order")
		}
		if _, err := records.Discard(next - at); err != nil {
			return elffile.ErrTruncated
		}
		if _, err := io.ReadFull(records, record[:]); err != nil {
			return elffile.ErrTruncated
		}
		at = next + len(record)
		if err := visit(binary.LittleEndian.Uint32(record[:]), binary.LittleEndian.Uint32(record[4:])); err != nil {
			return err
		}
	}
	return nil
}
