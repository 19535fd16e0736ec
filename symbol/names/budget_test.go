// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package names_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/internal/elffile/elftest"
	"github.com/gizmo-ebpf/gizmo/symbol/names"
)

const textSize = 1 << 20

// tableOf is a file with these symbols.
func tableOf(kind elf.SectionType, texts []byte, list []elf.Sym64) []byte {
	code := elftest.Code(textSize)
	f := elftest.File{
		Segments: []elf.Prog64{code},
		Sections: []elftest.Section{
			{Name: ".table", Section64: elf.Section64{Type: uint32(kind), Link: 2}, Data: elftest.Pack(list)},
			{Name: ".texts", Section64: elf.Section64{Type: uint32(elf.SHT_STRTAB)}, Data: texts},
			{Name: ".text", Section64: elf.Section64{
				Type: uint32(elf.SHT_NOBITS), Flags: uint64(elf.SHF_EXECINSTR), Addr: elftest.Base, Size: textSize,
			}},
		},
	}
	return f.Bytes()
}

const textIndex = 3

func fn(name uint32, binding elf.SymBind, kind elf.SymType, start, size uint64) elf.Sym64 {
	return elf.Sym64{Name: name, Info: elf.ST_INFO(binding, kind), Shndx: textIndex, Value: elftest.Base + start, Size: size}
}

// Of several names the one that people know counts, and an address that is in no function has no name.
func TestChoice(t *testing.T) {
	t.Parallel()
	texts, at := elftest.Names("puts", "_IO_puts", "outer", "inner", "label", "weak", "next", "local", "resolver")
	list := []elf.Sym64{
		fn(at["_IO_puts"], elf.STB_GLOBAL, elf.STT_FUNC, 0x10, 0x10),
		fn(at["puts"], elf.STB_WEAK, elf.STT_FUNC, 0x10, 0x10),
		fn(at["label"], elf.STB_GLOBAL, elf.STT_NOTYPE, 0x18, 0),
		fn(at["outer"], elf.STB_GLOBAL, elf.STT_FUNC, 0x100, 0x100),
		fn(at["inner"], elf.STB_GLOBAL, elf.STT_FUNC, 0x140, 0x10),
		fn(at["local"], elf.STB_LOCAL, elf.STT_FUNC, 0x300, 0x10),
		fn(at["weak"], elf.STB_WEAK, elf.STT_FUNC, 0x300, 0x10),
		fn(at["label"], elf.STB_GLOBAL, elf.STT_NOTYPE, 0x400, 0),
		fn(at["next"], elf.STB_GLOBAL, elf.STT_FUNC, 0x410, 0),
		fn(at["resolver"], elf.STB_GLOBAL, elf.STT_GNU_IFUNC, 0x500, 8),
		fn(at["label"], elf.STB_GLOBAL, elf.STT_OBJECT, 0x600, 8),
		{Name: at["label"], Info: elf.ST_INFO(elf.STB_GLOBAL, elf.STT_FUNC), Shndx: 99, Value: elftest.Base + 0x600, Size: 8},
		{Name: at["label"], Info: elf.ST_INFO(elf.STB_GLOBAL, elf.STT_FUNC), Shndx: 0, Value: elftest.Base + 0x600, Size: 8},
		fn(at["label"], elf.STB_GLOBAL, elf.STT_FUNC, textSize+1, 8),
		fn(1<<31, elf.STB_GLOBAL, elf.STT_FUNC, 0x700, 8), // its name is nowhere
	}
	want := map[uint64]string{
		0xf: "", 0x10: "puts", 0x18: "puts", 0x1f: "puts", 0x20: "",
		0x13f: "outer", 0x140: "inner", 0x14f: "inner", 0x150: "outer", 0x1ff: "outer", 0x200: "",
		0x300: "weak", 0x400: "label", 0x40f: "label", 0x410: "next", 0x4ff: "next", 0x500: "resolver", 0x508: "", 0x600: "", 0x700: "", textSize + 1: "",
	}
	f := openBytes(t, tableOf(elf.SHT_SYMTAB, texts, list))
	for addr, w := range want {
		if got := name(f, elftest.Base+addr); got != w {
			t.Errorf("%#x: %q, want %q", addr, got, w)
		}
	}
	// Where not all functions are listed, one without a size ends nowhere.
	f = openBytes(t, tableOf(elf.SHT_DYNSYM, texts, list))
	for addr, w := range map[uint64]string{0x10: "puts", 0x400: "", 0x410: "", 0x500: "resolver"} {
		if got := name(f, elftest.Base+addr); got != w {
			t.Errorf("%#x in a table of exported functions: %q, want %q", addr, got, w)
		}
	}
}

// many is a file of n functions.
func many(n int) []byte {
	list := make([]elf.Sym64, n)
	for i := range list {
		list[i] = fn(1, elf.STB_GLOBAL, elf.STT_FUNC, uint64(i)%textSize, 1)
	}
	texts, _ := elftest.Names("f")
	return tableOf(elf.SHT_SYMTAB, texts, list)
}

// Tables make room for others, and come back when they are asked again.
func TestBudget(t *testing.T) {
	t.Parallel()
	const n, budget = 1000, 40_000 // three tables of 12 bytes a function, and names
	files := names.NewFiles(names.Options{Budget: budget})
	type opened struct {
		*names.File
		reader *countingReader
	}
	var all []opened
	data := many(n)
	for i := range 10 {
		r := &countingReader{ReaderAt: bytes.NewReader(data)}
		f, err := files.Open(r, int64(len(data)), fmt.Sprintf("/file%d", i))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, opened{f, r})
	}
	for range 3 {
		for _, f := range all {
			if got := name(f.File, elftest.Base+5); got != "f" {
				t.Errorf("%s: %q", f.Module().Name, got)
			}
			if size := files.Size(); size > budget || size < n*12 {
				t.Errorf("the tables take %d bytes", size)
			}
		}
	}
	last := all[len(all)-1]
	before := last.reader.reads
	if name(last.File, elftest.Base+5) != "f" || last.reader.reads != before {
		t.Error("the table that was used last was read again")
	}
	first := all[0]
	before = first.reader.reads
	if name(first.File, elftest.Base+5) != "f" || first.reader.reads == before {
		t.Error("a table that made room was not read again")
	}
	files.Close()
	if size := files.Size(); size != 0 {
		t.Errorf("%d bytes after Close", size)
	}
	if name(first.File, elftest.Base+5) != "f" {
		t.Error("no name after Close")
	}
}

// A file that has more sections than any linker makes has no names, and costs no memory while it is known.
func TestManySections(t *testing.T) {
	t.Parallel()
	texts, at := elftest.Names("f")
	list := []elf.Sym64{fn(at["f"], elf.STB_GLOBAL, elf.STT_FUNC, 0, 8)}
	data := tableOf(elf.SHT_SYMTAB, texts, list)
	if got := name(openBytes(t, data), elftest.Base); got != "f" {
		t.Fatalf("%q: the fixture is wrong", got)
	}
	count := binary.LittleEndian.Uint16(data[60:])
	headers := binary.LittleEndian.Uint64(data[40:])
	for range 1 << 10 {
		data = append(data, data[headers+64:headers+128]...)
	}
	binary.LittleEndian.PutUint16(data[60:], count+1<<10)
	if got := name(openBytes(t, data), elftest.Base); got != "" {
		t.Errorf("%q", got)
	}
}

// A table with too many functions is not read, and one with many at one place takes no time.
func TestManySymbols(t *testing.T) {
	t.Parallel()
	if got := name(openBytes(t, many(1<<20+1)), elftest.Base+5); got != "" {
		t.Errorf("%q from a table that is too large", got)
	}
	list := make([]elf.Sym64, 1<<20)
	for i := range list {
		list[i] = fn(1, elf.STB_GLOBAL, elf.STT_NOTYPE, 5, 0)
	}
	texts, _ := elftest.Names("f")
	start := time.Now()
	if got := name(openBytes(t, tableOf(elf.SHT_SYMTAB, texts, list)), elftest.Base+5); got != "f" {
		t.Errorf("%q", got)
	}
	if d := time.Since(start); d > 20*time.Second {
		t.Errorf("it took %s", d)
	}
}

// The names of the 200 largest files of this machine, and of its kernel, take less than half of the 60 MiB that gizmo may take. With a budget
// of 16 MiB the peak was 39 MiB.
func TestMemory(t *testing.T) {
	measure := compile(t, "go", "./measure")
	values := make(map[string]int)
	for line := range strings.Lines(tool(t, measure)) {
		var key string
		var n int
		if _, err := fmt.Sscan(line, &key, &n); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		values[key] = n
	}
	t.Log(values)
	if peak := values["peak_kib"]; peak == 0 || peak > 36<<10 {
		t.Errorf("a peak of %d KiB", peak)
	}
	if values["files"] == 0 || values["named"] == 0 {
		t.Error("there was nothing to measure")
	}
}

// A look-up in a table that is in memory allocates nothing, and all look-ups of a function return the same.
func TestLookupAllocations(t *testing.T) {
	f := open(t, "/proc/self/exe")
	addr := f.Module().Start + 0x2000
	first := f.Lookup(addr)
	if first == nil {
		t.Fatal("this test has no name there")
	}
	if n := testing.AllocsPerRun(100, func() {
		if f.Lookup(addr) != first {
			t.Error("another function")
		}
		f.Lookup(1) // in no function
	}); n > 0 {
		t.Errorf("%g allocations", n)
	}
	k := names.NewKernel()
	if err := k.Load(); err != nil {
		t.Log("the kernel: ", err)
		return
	}
	const kernelText = 0xffffffff81001000
	k.Lookup(kernelText)
	if n := testing.AllocsPerRun(100, func() { k.Lookup(kernelText) }); n > 0 {
		t.Errorf("%g allocations for the kernel", n)
	}
}

func FuzzFile(f *testing.F) {
	texts, at := elftest.Names("one", "_Z3twov")
	f.Add(tableOf(elf.SHT_SYMTAB, texts, []elf.Sym64{fn(at["one"], 1, elf.STT_FUNC, 0, 8), fn(at["_Z3twov"], 1, elf.STT_NOTYPE, 8, 0)}), uint64(elftest.Base))
	data, err := os.ReadFile(stripped(f, withMini(f, compile(f, "gcc", "sorter.c", "-O2", "-nostartfiles", "-Wl,-e,main")), "--keep-section=.gnu_debugdata"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data, uint64(0x1000))
	f.Fuzz(func(t *testing.T, data []byte, addr uint64) {
		file, err := names.NewFiles(names.Options{}).Open(bytes.NewReader(data), int64(len(data)), "/fuzz")
		if err != nil {
			return
		}
		m := file.Module()
		if a, ok := file.Address(addr); ok {
			file.Lookup(a)
		}
		for _, a := range []uint64{addr, m.Start, m.Start + 8, m.Limit - 1} {
			if fn := file.Lookup(a); fn != nil && (fn.Name == "" || fn.System == "") {
				t.Errorf("%#x: %+v", a, fn)
			}
		}
	})
}

func FuzzDecompress(f *testing.F) {
	path := withMini(f, compile(f, "gcc", "sorter.c"), "-0", "--block-size=4096")
	std, err := elf.Open(path)
	if err != nil {
		f.Fatal(err)
	}
	data, err := std.Section(".gnu_debugdata").Data()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		if out, err := names.Decompress(data); err == nil && len(out) > 16<<20 {
			t.Errorf("%d bytes", len(out))
		}
	})
}

func BenchmarkOpenAndLookup(b *testing.B) {
	path := strings.TrimSpace(tool(b, "gcc", "-print-file-name=libc.so.6"))
	r, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	st, err := r.Stat()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		f, err := names.NewFiles(names.Options{}).Open(r, st.Size(), path)
		if err != nil {
			b.Fatal(err)
		}
		f.Lookup(f.Module().Start + 0x10000)
	}
}

func BenchmarkLookup(b *testing.B) {
	f := open(b, "/proc/self/exe")
	addr := f.Module().Start + 0x2000
	b.ReportAllocs()
	for b.Loop() {
		f.Lookup(addr)
	}
}
