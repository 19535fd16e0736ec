// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package symbols_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/gadget/internal/symbols"
	"github.com/gizmo-ebpf/gizmo/internal/elffile"
	"github.com/gizmo-ebpf/gizmo/internal/elffile/elftest"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// run runs a compiler that makes the file "out", and returns that.
func run(t testing.TB, program string, args ...string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out")
	args = append(args, "-o", out)
	if program == "go" {
		args = append([]string{"build", "-o", out}, args[:len(args)-2]...)
	}
	cmd := exec.Command(program, args...)
	cmd.Dir = "testdata"
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", program, err, text)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func library(t testing.TB, options ...string) []byte {
	cc := kerneltest.RequireProgram(t, "gcc", "clang-19", "clang")
	return run(t, cc, append([]string{"-shared", "-fPIC", "-O1", "-Wl,--version-script=versions.map", "library.c"}, options...)...)
}

// offsetOf is where the standard library finds a symbol, by any of its names.
func offsetOf(t testing.TB, data []byte, name string) uint64 {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	list, _ := f.Symbols()
	dynamic, _ := f.DynamicSymbols()
	for _, s := range append(list, dynamic...) {
		if s.Name != name && s.Name+"@"+s.Version != name {
			continue
		}
		for _, p := range f.Progs {
			if p.Type == elf.PT_LOAD && s.Value >= p.Vaddr && s.Value < p.Vaddr+p.Filesz {
				return s.Value - p.Vaddr + p.Off
			}
		}
	}
	t.Fatalf("the fixture has no symbol %s", name)
	return 0
}

func TestLibrary(t *testing.T) {
	t.Parallel()
	whole := library(t)
	stripped := library(t, "-s")
	tests := []struct {
		place symbols.Place
		want  string // the symbol of which this is the address
		not   error  // instead, in both files
		what  string // a part of the message
		only  bool   // in the one with all symbols
	}{
		{place: symbols.Place{Name: "plain"}, want: "plain"},
		{place: symbols.Place{Name: "plain", Return: true}, want: "plain"},
		{place: symbols.Place{Name: "weak"}, want: "weak"},
		{place: symbols.Place{Name: "versioned"}, want: "versioned_second"},
		{place: symbols.Place{Name: "versioned@V1"}, want: "versioned_first"},
		{place: symbols.Place{Name: "versioned@V2"}, want: "versioned_second"},
		{place: symbols.Place{Name: "versioned@@V2"}, want: "versioned_second"},
		{place: symbols.Place{Name: "versioned@@V1"}, not: symbols.ErrNotFound, what: "V1"},
		{place: symbols.Place{Name: "versioned@V3"}, not: symbols.ErrNotFound, what: "versioned@@V2, versioned@V1"},
		{place: symbols.Place{Name: "retired"}, want: "retired_first"},
		{place: symbols.Place{Name: "typed_label"}, want: "typed_label"},
		{place: symbols.Place{Name: "label"}, want: "label"},
		{place: symbols.Place{Name: "label", Return: true}, not: symbols.ErrNoReturn, what: "not marked as a function"},
		{place: symbols.Place{Name: "indirect"}, not: symbols.ErrIndirect, what: "IFUNC"},
		{place: symbols.Place{Name: "malloc"}, not: symbols.ErrImported, what: "name that library"},
		{place: symbols.Place{Name: "variable"}, what: "variable"},
		{place: symbols.Place{Name: "hidden"}, want: "hidden", only: true},
		{place: symbols.Place{Name: "plian"}, not: symbols.ErrNotFound, what: `did you mean "plain"?`},
		{place: symbols.Place{Name: "nothing_like_it"}, not: symbols.ErrNotFound},
		{place: symbols.Place{Name: ""}, not: symbols.ErrNotFound},
		{place: symbols.Place{Name: "@"}, not: symbols.ErrNotFound},
		{place: symbols.Place{Name: "@V1"}, not: symbols.ErrNotFound},
		{place: symbols.Place{Name: "plain", Offset: 1 << 40}, what: "beyond the end"},
		{place: symbols.Place{Name: "plain", Offset: 1, Return: true}, not: symbols.ErrNoReturn, what: "offset"},
		{place: symbols.Place{Name: "typed_label", Offset: 1<<64 - 1}, what: "too large"},
		{place: symbols.Place{Name: "0xzz"}, what: "not an address"},
		{place: symbols.Place{Name: "0x7fffffffffff"}, what: "no part of the file"},
	}
	for _, test := range tests {
		for name, data := range map[string][]byte{"whole": whole, "stripped": stripped} {
			if test.only && name == "stripped" {
				continue
			}
			got, err := symbols.Locate(elftest.Open(t, data), test.place)
			if test.want != "" {
				if want := offsetOf(t, whole, test.want); err != nil || got != want {
					t.Errorf("%s: %+v: %#x, %v, want %#x", name, test.place, got, err, want)
				}
				continue
			}
			if err == nil || test.not != nil && !errors.Is(err, test.not) || !strings.Contains(err.Error(), test.what) {
				t.Errorf("%s: %+v: %#x, %v, want %v, %q", name, test.place, got, err, test.not, test.what)
			}
		}
	}
}

func TestMessages(t *testing.T) {
	t.Parallel()
	stripped := elftest.Open(t, library(t, "-s"))
	_, err := symbols.Locate(stripped, symbols.Place{Name: "hidden"})
	if err == nil || !strings.Contains(err.Error(), "stripped") {
		t.Errorf("a static function of a stripped library: %v", err)
	}
	whole := elftest.Open(t, library(t))
	_, err = symbols.Locate(whole, symbols.Place{Name: "inlined_function"})
	if err == nil || !strings.Contains(err.Error(), "inlined") {
		t.Errorf("an unknown function: %v", err)
	}
}

// program is a file with a table of symbols.
func program(list ...elf.Sym64) []byte {
	names, _ := elftest.Names("f", "part.of.f", "g.part.0", "long.name.that.ends.in.f")
	f := elftest.File{
		Type: elf.ET_EXEC, Entry: elftest.Base + 0x10,
		Segments: []elf.Prog64{elftest.Code(0x200)},
		Sections: []elftest.Section{
			{Name: ".symtab", Section64: elf.Section64{Type: uint32(elf.SHT_SYMTAB), Link: 2}, Data: elftest.Pack(append([]elf.Sym64{{}}, list...))},
			{Name: ".strtab", Section64: elf.Section64{Type: uint32(elf.SHT_STRTAB)}, Data: names},
			{Name: ".text", Section64: elf.Section64{Type: uint32(elf.SHT_PROGBITS)}, Data: make([]byte, 0x200)},
		},
	}
	return f.Bytes()
}

// Places of the names in the table.
const (
	nameF = 1
	nameG = 1 + 2 + 10
)

func symbol(name uint32, bind elf.SymBind, kind elf.SymType, off uint64) elf.Sym64 {
	return elf.Sym64{Name: name, Info: elf.ST_INFO(bind, kind), Shndx: 3, Value: elftest.Base + off, Size: 8}
}

func TestChoice(t *testing.T) {
	t.Parallel()
	const local, global, function, label = elf.STB_LOCAL, elf.STB_GLOBAL, elf.STT_FUNC, elf.STT_NOTYPE
	tests := map[string]struct {
		list []elf.Sym64
		want uint64
		err  string
	}{
		"one":               {[]elf.Sym64{symbol(nameF, local, function, 0x20)}, 0x20, ""},
		"twice the same":    {[]elf.Sym64{symbol(nameF, local, function, 0x20), symbol(nameF, local, function, 0x20)}, 0x20, ""},
		"global first":      {[]elf.Sym64{symbol(nameF, local, function, 0x20), symbol(nameF, global, function, 0x30)}, 0x30, ""},
		"function first":    {[]elf.Sym64{symbol(nameF, global, label, 0x20), symbol(nameF, local, function, 0x30)}, 0x30, ""},
		"two static":        {[]elf.Sym64{symbol(nameF, local, function, 0x20), symbol(nameF, local, function, 0x30)}, 0, "0x400020, 0x400030"},
		"many static":       {manySymbols(100), 0, "and 96 more"},
		"far too many":      {manySymbols(1000), 0, "more than 256"},
		"only a clone":      {[]elf.Sym64{symbol(nameG, local, function, 0x20)}, 0, "no such function"},
		"absolute":          {[]elf.Sym64{{Name: nameF, Shndx: uint16(elf.SHN_ABS), Value: elftest.Base}}, 0, "not a function"},
		"of the end":        {[]elf.Sym64{symbol(nameF+2+8, global, function, 0x40)}, 0x40, ""}, // "f" of "part.of.f"
		"not in a segment":  {[]elf.Sym64{symbol(nameF, global, function, 0x20000)}, 0, "no part of the file"},
		"thread's variable": {[]elf.Sym64{symbol(nameF, global, elf.STT_TLS, 0x20)}, 0, "variable"},
	}
	for name, test := range tests {
		got, err := symbols.Locate(elftest.Open(t, program(test.list...)), symbols.Place{Name: "f"})
		if test.err == "" && (err != nil || got != test.want) {
			t.Errorf("%s: %#x, %v, want %#x", name, got, err, test.want)
		}
		if test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) {
			t.Errorf("%s: %v, want %q", name, err, test.err)
		}
	}
}

func manySymbols(n uint64) []elf.Sym64 {
	var list []elf.Sym64
	for i := range n {
		list = append(list, symbol(nameF, elf.STB_LOCAL, elf.STT_FUNC, i%0x200))
	}
	return list
}

func TestClone(t *testing.T) {
	t.Parallel()
	f := elftest.Open(t, program(symbol(nameG, elf.STB_LOCAL, elf.STT_FUNC, 0x20)))
	_, err := symbols.Locate(f, symbols.Place{Name: "g"})
	if err == nil || !strings.Contains(err.Error(), "the compiler replaced it with g.part.0") {
		t.Errorf("got %v", err)
	}
}

func TestEntry(t *testing.T) {
	t.Parallel()
	f := elftest.Open(t, program(symbol(nameF, elf.STB_GLOBAL, elf.STT_FUNC, 0x10)))
	if off, err := symbols.Locate(f, symbols.Place{Name: "f"}); err != nil || off != 0x10 {
		t.Errorf("%#x, %v", off, err)
	}
	_, err := symbols.Locate(f, symbols.Place{Name: "f", Return: true})
	if !errors.Is(err, symbols.ErrNoReturn) || !strings.Contains(err.Error(), "starts here") {
		t.Errorf("got %v", err)
	}
}

func TestAddress(t *testing.T) {
	t.Parallel()
	f := elftest.Open(t, program())
	if off, err := symbols.Locate(f, symbols.Place{Name: fmt.Sprintf("%#x", elftest.Base+0x20), Offset: 4}); err != nil || off != 0x24 {
		t.Errorf("%#x, %v", off, err)
	}
}

// The tables are read in chunks of 64 KiB. A name may span two of them.
func TestLargeTable(t *testing.T) {
	t.Parallel()
	var filler strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&filler, "name_%d\x00", i)
	}
	const name = "name_6664" // 65530 bytes after the start
	list := make([]elf.Sym64, 5_000)
	list[len(list)-1] = symbol(0, elf.STB_GLOBAL, elf.STT_FUNC, 0x20)
	table := elftest.Pack(list)
	crossed := false
	for shift := range 24 {
		names := []byte("\x00" + strings.Repeat("x", shift) + "\x00" + filler.String())
		at := bytes.Index(names, []byte("\x00"+name+"\x00")) + 1
		crossed = crossed || at < 1<<16 && at+len(name) > 1<<16
		binary.LittleEndian.PutUint32(table[len(table)-24:], uint32(at))
		f := elftest.File{
			Segments: []elf.Prog64{elftest.Code(0x200)},
			Sections: []elftest.Section{
				{Name: ".symtab", Section64: elf.Section64{Type: uint32(elf.SHT_SYMTAB), Link: 2}, Data: table},
				{Name: ".strtab", Section64: elf.Section64{Type: uint32(elf.SHT_STRTAB)}, Data: names},
			},
		}
		if off, err := symbols.Locate(elftest.Open(t, f.Bytes()), symbols.Place{Name: name}); err != nil || off != 0x20 {
			t.Fatalf("shift %d: %#x, %v", shift, off, err)
		}
	}
	if !crossed {
		t.Error("the name was nowhere near the border")
	}
}

func TestGo(t *testing.T) {
	t.Parallel()
	kerneltest.RequireProgram(t, "go")
	whole := run(t, "go", "./gofuncs")
	stripped := run(t, "go", "-ldflags=-s", "./gofuncs")
	position := run(t, "go", "-ldflags=-s", "-buildmode=pie", "./gofuncs")
	for _, name := range []string{"main.Double", "main.(*counter).Add", "runtime.main"} {
		want := offsetOf(t, whole, name)
		for file, data := range map[string][]byte{"whole": whole, "stripped": stripped} {
			off, err := symbols.Locate(elftest.Open(t, data), symbols.Place{Name: name})
			if err != nil || off != want {
				t.Errorf("%s in the %s program: %#x, %v, want %#x", name, file, off, err, want)
			}
		}
		if _, err := symbols.Locate(elftest.Open(t, position), symbols.Place{Name: name}); err != nil {
			t.Errorf("%s in a position independent program: %v", name, err)
		}
		_, err := symbols.Locate(elftest.Open(t, stripped), symbols.Place{Name: name, Return: true})
		if !errors.Is(err, symbols.ErrNoReturn) || !strings.Contains(err.Error(), "Go moves its stacks") {
			t.Errorf("the return of %s: %v", name, err)
		}
	}
	_, err := symbols.Locate(elftest.Open(t, stripped), symbols.Place{Name: "main.Triple"})
	if !errors.Is(err, symbols.ErrNotFound) {
		t.Errorf("a function that is not there: %v", err)
	}
}

// Programs of 32 bits run on kernels of 64.
func TestNarrow(t *testing.T) {
	kerneltest.RequireProgram(t, "go")
	t.Setenv("GOARCH", "386")
	data := run(t, "go", "./gofuncs")
	f := elftest.Open(t, data)
	if f.Wide || f.Machine != elf.EM_386 {
		t.Fatalf("%+v", f)
	}
	want := offsetOf(t, data, "main.Double")
	if off, err := symbols.Locate(f, symbols.Place{Name: "main.Double"}); err != nil || off != want {
		t.Errorf("%#x, %v, want %#x", off, err, want)
	}
	if _, err := symbols.Locate(f, symbols.Place{Name: "main.Double", Return: true}); err == nil {
		t.Error("the return of a Go function")
	}
}

func TestVariable(t *testing.T) {
	t.Parallel()
	f := elftest.Open(t, library(t))
	addr, err := symbols.Variable(f, "variable")
	if err != nil {
		t.Fatal(err)
	}
	if off, err := f.DataOffset(addr); err != nil || off == 0 {
		t.Errorf("%#x, %v", off, err)
	}
	if _, err := symbols.Variable(f, "malloc"); err == nil {
		t.Error("found what is not there")
	}
}

func FuzzLocate(f *testing.F) {
	f.Add(program(symbol(nameF, elf.STB_LOCAL, elf.STT_FUNC, 0x20)), "f", uint64(0))
	f.Add(library(f), "versioned@V1", uint64(0))
	f.Add(library(f, "-s"), "versioned", uint64(2))
	f.Fuzz(func(t *testing.T, data []byte, name string, offset uint64) {
		file, err := elffile.New(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		for _, atReturn := range []bool{false, true} {
			off, err := symbols.Locate(file, symbols.Place{Name: name, Offset: offset, Return: atReturn})
			if err == nil && off >= uint64(len(data)) {
				t.Errorf("offset %#x in a file of %#x bytes", off, len(data))
			}
		}
	})
}

func BenchmarkLocate(b *testing.B) {
	const path = "/proc/self/exe"
	r, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	st, err := r.Stat()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		f, err := elffile.New(r, st.Size())
		if err != nil {
			b.Fatal(err)
		}
		if _, err := symbols.Locate(f, symbols.Place{Name: "runtime.main"}); err != nil {
			b.Fatal(err)
		}
	}
}
