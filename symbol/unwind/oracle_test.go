// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build amd64

package unwind

import (
	"bufio"
	"debug/elf"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// TestRowsAreThoseOfReadelf compares the rules for each place in real files where they change, and for the last byte before that, with
// those that another program finds.
func TestRowsAreThoseOfReadelf(t *testing.T) {
	readelf := kerneltest.RequireProgram(t, "readelf")
	for _, path := range []string{libc(t), readelf} {
		t.Run(path, func(t *testing.T) { compareRows(t, readelf, path) })
	}
}

// libc returns the path of the C library that programs here use.
func libc(t testing.TB) string {
	t.Helper()
	ldd := kerneltest.RequireProgram(t, "ldd")
	out, err := exec.Command(ldd, kerneltest.RequireProgram(t, "readelf")).Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) >= 3 && strings.HasPrefix(f[0], "libc.so") {
			return f[2]
		}
	}
	kerneltest.Missing(t, "readelf is linked statically")
	return ""
}

func openTable(t testing.TB, path string) *Table {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	table, err := NewTable(f, info.Size())
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return table
}

func compareRows(t *testing.T, readelf, path string) {
	table := openTable(t, path)
	indexed := &Table{file: table.file}
	indexed.makeIndex(ehFrame(t, path))
	out, err := exec.Command(readelf, "-wF", "-wN", "-W", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	var (
		end     uint64 // of the function
		columns []string
		last    []string // the row that goes on
		rows    int
		reader  rowReader
	)
	check := func(addr uint64) {
		for _, tab := range []*Table{table, indexed} {
			var r row
			reader.read(tab, addr, &r)
			if got, want := describe(&r, columns), strings.Join(last[1:], " "); got != want {
				t.Errorf("%#x: %v: %s; readelf says %s", addr, columns, got, want)
			}
		}
		rows++
	}
	twice := regexp.MustCompile(`\S+ \((\w+)\)`) // readelf writes "r1 (rdx)"
	finish := func() {
		if last != nil {
			check(end - 1)
		}
		last = nil
	}
	for line := bufio.NewScanner(strings.NewReader(string(out))); line.Scan(); {
		f := strings.Fields(twice.ReplaceAllString(line.Text(), "$1"))
		switch {
		case len(f) >= 6 && f[3] == "FDE":
			finish()
			_, limit, _ := strings.Cut(f[5], "..")
			end = number(t, limit)
		case len(f) >= 5 && f[3] == "CIE":
			finish()
			end = 0
		case len(f) >= 3 && f[0] == "LOC":
			columns = f[1:]
		case len(f) > 1 && f[1] == "ZERO": // the end of the section
		case len(f) == len(columns)+1 && len(f) >= 3 && end != 0:
			if last != nil {
				check(number(t, f[0]) - 1)
			}
			last = f
			check(number(t, f[0]))
		}
		if t.Failed() && rows > 100 {
			return
		}
	}
	finish()
	t.Logf("%d rows", rows)
	if rows < 1000 {
		t.Errorf("compared only %d rows", rows)
	}
}

func number(t *testing.T, hex string) uint64 {
	t.Helper()
	v, err := strconv.ParseUint(hex, 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func ehFrame(t *testing.T, path string) segment {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := f.Section(".eh_frame")
	if s == nil {
		t.Fatalf("%s has no .eh_frame", path)
	}
	return segment{addr: s.Addr, size: s.Size, off: s.Offset}
}
