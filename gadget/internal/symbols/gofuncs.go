// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package symbols

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/gizmo-ebpf/gizmo/gadget/internal/elffile"
)

// goFuncs is the table with which Go's runtime prints stacks. It survives strip. Its layout is that
// of the runtime's pcHeader, functab and _func (runtime/symtab.go) since Go 1.18:
//
//	header   magic uint32, 2 zero bytes, uint8 step, uint8 pointer size, then eight words: functions, files,
//	         start of the code (0 since Go 1.26), names, units, file names, pc values, functions' table
//	table    for each function uint32 entry, uint32 record; then uint32 end of the code
//	record   uint32 entry, int32 name, …
//
// Entries count from the start of the code, names from that of the names, records from that of the
// table.
type goFuncs struct {
	table        *io.SectionReader
	code         uint64 // the address where the code starts; 0 if it is unknown
	count        uint64
	names, funcs uint64 // places in the table
	namesEnd     uint64
}

const (
	maxGoTable   = 1 << 30 // bytes
	maxGoFuncs   = 8 << 20
	goHeaderSize = 8 + 8*8
	goPairSize   = 8

	goMagic118 = 0xfffffff0
	goMagic120 = 0xfffffff1

	// goModuleText is where in the runtime's moduledata the start of the code is, since Go 1.26 has it
	// only there.
	goModuleText = 176
)

// errOldGo is about tables of another layout.
var errOldGo = errors.New("gizmo cannot read this table of Go functions: the program was built with Go before 1.18, or is a 32-bit program")

// openGo returns the file's Go functions, or nil if it has none.
func openGo(f *elffile.File) (*goFuncs, error) {
	section := f.Section(".gopclntab")
	if section == nil {
		section = f.Section(".data.rel.ro.gopclntab") // position independent, before Go 1.26
	}
	if section == nil {
		return nil, nil
	}
	g, err := readGo(f, section)
	if err != nil {
		return nil, fmt.Errorf("section %q: %w", section.Name, err)
	}
	return g, nil
}

func readGo(f *elffile.File, section *elffile.Section) (*goFuncs, error) {
	r, err := f.Reader(section, maxGoTable)
	if err != nil {
		return nil, err
	}
	var b [goHeaderSize]byte
	if _, err := r.ReadAt(b[:], 0); err != nil {
		return nil, elffile.ErrTruncated
	}
	magic := binary.LittleEndian.Uint32(b[:])
	if (magic != goMagic118 && magic != goMagic120) || b[7] != 8 || !f.Wide {
		return nil, errOldGo
	}
	word := func(n int) uint64 { return binary.LittleEndian.Uint64(b[8+8*n:]) }
	g := &goFuncs{table: r, count: word(0), code: word(2), names: word(3), namesEnd: word(4), funcs: word(7)}
	size := uint64(r.Size())
	if g.count > maxGoFuncs || g.names > g.namesEnd || g.namesEnd > size || g.funcs > size ||
		(g.count+1)*goPairSize > size-g.funcs {
		return nil, errors.New("its parts are outside of it")
	}
	if g.code == 0 {
		g.code = moduleCode(f)
	}
	return g, nil
}

// moduleCode returns the start of the code from the runtime's data, or 0.
func moduleCode(f *elffile.File) uint64 {
	section := f.Section(".go.module")
	if section == nil {
		return 0
	}
	r, err := f.Reader(section, maxTable)
	if err != nil {
		return 0
	}
	var b [8]byte
	if _, err := r.ReadAt(b[:], goModuleText); err != nil {
		return 0
	}
	return binary.LittleEndian.Uint64(b[:])
}

// contains reports whether an address is in the code that Go's compiler made, or if that is not known.
func (g *goFuncs) contains(addr uint64) bool {
	var end [4]byte
	if _, err := g.table.ReadAt(end[:], int64(g.funcs+g.count*goPairSize)); err != nil || g.code == 0 {
		return true
	}
	return addr >= g.code && addr-g.code < uint64(binary.LittleEndian.Uint32(end[:]))
}

// find returns the function of the name, or nil.
func (g *goFuncs) find(name string) (*function, error) {
	names := io.NewSectionReader(g.table, int64(g.names), int64(g.namesEnd-g.names))
	places, err := occurrences(names, name)
	if err != nil || len(places) == 0 {
		return nil, err
	}
	entry, ok, err := g.entryOf(places)
	switch {
	case err != nil || !ok:
		return nil, err
	case g.code == 0:
		return nil, fmt.Errorf("the file is stripped and does not say where its code starts")
	}
	return &function{name: name, addr: g.code + uint64(entry)}, nil
}

// entryOf searches the table for the first function whose name is in one of the places. The
// records have the same order as the functions, so both are read from front to back.
func (g *goFuncs) entryOf(names []uint32) (entry uint32, ok bool, err error) {
	size := g.table.Size() - int64(g.funcs)
	pairs := bufio.NewReaderSize(io.NewSectionReader(g.table, int64(g.funcs), size), piece)
	records := bufio.NewReaderSize(io.NewSectionReader(g.table, int64(g.funcs), size), piece)
	var pair, record [8]byte
	at := 0 // how far the records have been read
	for range g.count {
		if _, err := io.ReadFull(pairs, pair[:]); err != nil {
			return 0, false, elffile.ErrTruncated
		}
		next := int(binary.LittleEndian.Uint32(pair[4:]))
		if next < at {
			return 0, false, errors.New("the records of its functions are out of order")
		}
		if _, err := records.Discard(next - at); err != nil {
			return 0, false, elffile.ErrTruncated
		}
		if _, err := io.ReadFull(records, record[:]); err != nil {
			return 0, false, elffile.ErrTruncated
		}
		at = next + len(record)
		if _, ok := slices.BinarySearch(names, binary.LittleEndian.Uint32(record[4:])); ok {
			return binary.LittleEndian.Uint32(record[:]), true, nil
		}
	}
	return 0, false, nil
}
