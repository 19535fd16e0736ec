// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

// many returns functions of 16 bytes each, with 16 bytes of no function in front. Each has a rule of its own.
func many(n int) []function {
	all := make([]function, n)
	for i := range all {
		all[i] = function{size: 16, gap: 16, code: []byte{cfaDefineOffset, byte(16 + i%100)}}
	}
	return all
}

func TestTableFindsEachFunction(t *testing.T) {
	for _, count := range []int{1, 2, 3, 127, 128, 129, 255, 256, 257, 258, 511, 512, 513, 5000} {
		for name, p := range map[string]*program{
			"search table":                    {},
			"search table, no sections":       {noSections: true},
			"wide search table":               {wide: true},
			"no search table":                 {noSearch: true},
			"header without a table":          {noTable: true},
			"header without a table, section": {noTable: true, noSections: true},
		} {
			p.functions = many(count)
			table := p.table(t)
			if !table.HasCFI() {
				t.Fatalf("%s: no CFI", name)
			}
			var reader rowReader
			var r row
			for i := range count {
				start := codeAddr + 16 + 32*uint64(i)
				for _, addr := range []uint64{start - 1, start + 16} {
					if reader.read(table, addr, &r); r.state != rowUncovered {
						t.Fatalf("%s, %d of %d: outside of functions: %v", name, i, count, r.state)
					}
				}
				for _, addr := range []uint64{start, start + 15} {
					reader.read(table, addr, &r)
					if want := int32(16 + i%100); r.state != rowCovered || r.cfa.value != want {
						t.Fatalf("%s, %d of %d: state %d, CFA %d; want %d", name, i, count, r.state, r.cfa.value, want)
					}
				}
			}
			for _, addr := range []uint64{0, 1 << 40, 1<<64 - 1} {
				if reader.read(table, addr, &r); r.state != rowUncovered {
					t.Errorf("%s: %#x: state %d", name, addr, r.state)
				}
			}
		}
	}
}

func TestFileWithoutCFI(t *testing.T) {
	table := (&program{noSearch: true, noSections: true}).table(t)
	if table.HasCFI() {
		t.Error("it has CFI")
	}
	var r row
	if new(rowReader).read(table, codeAddr, &r); r.state != rowUncovered {
		t.Errorf("state %d", r.state)
	}
}

func TestNewTableErrors(t *testing.T) {
	good := (&program{functions: many(3)}).build()
	for _, test := range []struct {
		change func(b []byte) []byte
		want   string
	}{
		{func([]byte) []byte { return nil }, "not an ELF file"},
		{func([]byte) []byte { return []byte("#!/bin/sh\n") }, "not an ELF file"},
		{func(b []byte) []byte { return b[:63] }, "not an ELF file"},
		{func(b []byte) []byte { b[4] = 1; return b }, "not 64-bit"},
		{func(b []byte) []byte { b[5] = 2; return b }, "not 64-bit little-endian"},
		{func(b []byte) []byte { b[18] = 183; return b }, "EM_AARCH64"},
		{func(b []byte) []byte { b[54] = 32; return b }, "2 program headers of 32 bytes"},
		{func(b []byte) []byte { b[56], b[57] = 0, 2; return b }, "512 program headers"},
		{func(b []byte) []byte { b[33] = 0xff; return b }, "ends before its program headers"},
	} {
		b := test.change(bytes.Clone(good))
		if _, err := NewTable(bytes.NewReader(b), int64(len(b))); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v, want %q", err, test.want)
		}
	}
	if _, err := NewTable(bytes.NewReader(good), -1); err == nil {
		t.Error("no error for a file of -1 bytes")
	}
}

// changing is a file that fails once it has been opened.
type changing struct {
	io.ReaderAt
	gone bool
}

func (c *changing) ReadAt(b []byte, off int64) (int, error) {
	if c.gone {
		return 0, errors.New("gone")
	}
	return c.ReaderAt.ReadAt(b, off)
}

func TestFileThatCanNoLongerBeRead(t *testing.T) {
	b := (&program{functions: many(3)}).build()
	f := &changing{ReaderAt: bytes.NewReader(b)}
	table, err := NewTable(f, int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	f.gone = true
	var r row
	if new(rowReader).read(table, codeAddr+16, &r); r.state != rowBroken {
		t.Errorf("state %d", r.state)
	}
}
