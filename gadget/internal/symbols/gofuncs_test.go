// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package symbols_test

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/gadget/internal/symbols"
	"github.com/gizmo-ebpf/gizmo/internal/elffile/elftest"
)

// Words of the header of Go's table.
const (
	goCount = iota
	goFiles
	goCode
	goNames
	goUnits
	goFileNames
	goValues
	goFuncs
)

// goTable is a table of two functions, main.one and main.two, 0x20 and 0x40 bytes after the start of the
// code.
func goTable() []byte {
	names := []byte("main.one\x00main.two\x00")
	header := elftest.Pack(uint32(0xfffffff1), [4]byte{0, 0, 1, 8}, [8]uint64{
		goCount: 2, goCode: elftest.Base, goNames: 72, goUnits: 72 + uint64(len(names)), goFuncs: 72 + uint64(len(names)),
	})
	const records = 2*8 + 4 // from the start of the table
	table := elftest.Pack(uint32(0x20), uint32(records), uint32(0x40), uint32(records+12), uint32(0x60),
		uint32(0x20), uint32(0), uint32(0xaaaa), uint32(0x40), uint32(9), uint32(0xaaaa))
	return append(append(header, names...), table...)
}

func goProgram(table []byte, more ...elftest.Section) []byte {
	f := elftest.File{
		Segments: []elf.Prog64{elftest.Code(0x200)},
		Sections: append([]elftest.Section{
			{Name: ".gopclntab", Section64: elf.Section64{Type: uint32(elf.SHT_PROGBITS)}, Data: table},
			{Name: ".text", Section64: elf.Section64{Type: uint32(elf.SHT_PROGBITS)}, Data: make([]byte, 0x200)},
		}, more...),
	}
	return f.Bytes()
}

func TestGoTable(t *testing.T) {
	t.Parallel()
	f := elftest.Open(t, goProgram(goTable()))
	for name, want := range map[string]uint64{"main.one": 0x20, "main.two": 0x40} {
		if off, err := symbols.Locate(f, symbols.Place{Name: name}); err != nil || off != want {
			t.Errorf("%s: %#x, %v", name, off, err)
		}
	}
	if _, err := symbols.Locate(f, symbols.Place{Name: "one"}); !errors.Is(err, symbols.ErrNotFound) {
		t.Errorf("a part of a name: %v", err)
	}
}

// In a program that contains Go code, functions of other languages may have return probes.
func TestReturnBesideGo(t *testing.T) {
	t.Parallel()
	f := elftest.Open(t, goProgram(goTable()))
	if _, err := symbols.Locate(f, symbols.Place{Name: "0x400070", Return: true}); err != nil {
		t.Error(err)
	}
	for _, inside := range []string{"0x400000", "0x40005f"} {
		if _, err := symbols.Locate(f, symbols.Place{Name: inside, Return: true}); !errors.Is(err, symbols.ErrNoReturn) {
			t.Errorf("%s: %v", inside, err)
		}
	}
}

func TestDamagedGoTable(t *testing.T) {
	t.Parallel()
	word := func(n int, v uint64) []byte {
		table := goTable()
		binary.LittleEndian.PutUint64(table[8+8*n:], v)
		return table
	}
	magic := func(b byte) []byte {
		table := goTable()
		table[0] = b
		return table
	}
	record := goTable()
	binary.LittleEndian.PutUint32(record[72+18+4:], 1<<31)
	order := goTable()
	binary.LittleEndian.PutUint32(order[72+18+12:], 0)
	tests := map[string]struct {
		table []byte
		want  string
	}{
		"cut off":         {goTable()[:20], "cut off"},
		"old":             {magic(0xfb), "before 1.18"},
		"no start":        {word(goCode, 0), "does not say where its code starts"},
		"many functions":  {word(goCount, 1<<62), "are outside"},
		"too many":        {word(goCount, 5), "are outside"},
		"names far away":  {word(goNames, 1<<62), "are outside"},
		"funcs far away":  {word(goFuncs, 1<<64-1), "are outside"},
		"record far away": {record, "cut off"},
		"out of order":    {order, "out of order"},
	}
	for name, test := range tests {
		_, err := symbols.Locate(elftest.Open(t, goProgram(test.table)), symbols.Place{Name: "main.two"})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

// Since Go 1.26 the start of the code is in another section.
func TestGoModule(t *testing.T) {
	t.Parallel()
	table := goTable()
	binary.LittleEndian.PutUint64(table[8+8*goCode:], 0)
	module := elftest.Section{
		Name: ".go.module", Section64: elf.Section64{Type: uint32(elf.SHT_PROGBITS)},
		Data: append(make([]byte, 176), elftest.Pack(uint64(elftest.Base+0x100))...),
	}
	f := elftest.Open(t, goProgram(table, module))
	if off, err := symbols.Locate(f, symbols.Place{Name: "main.one"}); err != nil || off != 0x120 {
		t.Errorf("%#x, %v", off, err)
	}
}

func FuzzGo(f *testing.F) {
	f.Add(goTable(), "main.two")
	f.Fuzz(func(t *testing.T, table []byte, name string) {
		file := elftest.Open(t, goProgram(table))
		if off, err := symbols.Locate(file, symbols.Place{Name: name}); err == nil && off >= 0x200 {
			t.Errorf("%q at %#x", name, off)
		}
	})
}
