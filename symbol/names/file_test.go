// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package names_test

import (
	"bytes"
	"debug/elf"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/elffile"
	"github.com/gizmo-ebpf/gizmo/internal/elffile/elftest"
	"github.com/gizmo-ebpf/gizmo/symbol/names"
)

func TestC(t *testing.T) {
	t.Parallel()
	for _, options := range []string{"-O2", "-O2 -no-pie", "-O2 -static", "-O0 -g"} {
		path := compile(t, "gcc", "sorter.c", strings.Fields(options)...)
		f, all := open(t, path), symbolsOf(t, path)
		for _, fn := range []string{"hidden_compare", "hidden_level", "shown_sorter", "main", "outer", "_start"} {
			checkFunction(t, f, all[fn], fn)
		}
		// A symbol without a size is a function's if no other contains it.
		if got := name(f, all["by_hand"].Value+7); got != "by_hand" {
			t.Errorf("%s: %q, want by_hand", options, got)
		}
		if got := name(f, all["inner_label"].Value+2); got != "outer" {
			t.Errorf("%s: %q, want outer", options, got)
		}
		for _, addr := range []uint64{0, 1, all["sink"].Value, 1<<64 - 1} {
			if got := name(f, addr); got != "" {
				t.Errorf("%s: %q at %#x", options, got, addr)
			}
		}
	}
}

// A file without symbols gives no names, and never those of a neighbour.
func TestStripped(t *testing.T) {
	t.Parallel()
	path := compile(t, "gcc", "sorter.c", "-O2", "-Wl,--export-dynamic-symbol=shown_sorter,--export-dynamic-symbol=by_hand")
	f, all := open(t, stripped(t, path)), symbolsOf(t, path)
	checkFunction(t, f, all["shown_sorter"], "shown_sorter")
	for _, fn := range []string{"hidden_compare", "hidden_level", "main", "outer", "by_hand"} {
		if got := name(f, all[fn].Value); got != "" {
			t.Errorf("%s: %q, want no name", fn, got)
		}
	}
}

// debugFolder puts the debug part of a program where debuggers look for it by its build id.
func debugFolder(t *testing.T, program, id string) (dir, file string) {
	t.Helper()
	dir = t.TempDir()
	file = filepath.Join(dir, ".build-id", id[:2], id[2:]+".debug")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	tool(t, "objcopy", "--only-keep-debug", program, file)
	return dir, file
}

func TestDebugFile(t *testing.T) {
	t.Parallel()
	path := compile(t, "gcc", "sorter.c", "-O2", "-g", "-Wl,--build-id=sha1")
	without, all := stripped(t, path), symbolsOf(t, path)
	f := open(t, without)
	id := f.Module().BuildID
	if len(id) != 40 || !strings.Contains(tool(t, "readelf", "-n", without), id) {
		t.Fatalf("build id %q", id)
	}
	dir, debug := debugFolder(t, path, id)
	checkFunction(t, open(t, without, dir), all["hidden_level"], "hidden_level")

	cache := filepath.Join(t.TempDir(), id)
	if err := os.Mkdir(cache, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(debug, filepath.Join(cache, "debuginfo")); err != nil {
		t.Fatal(err)
	}
	files := names.NewFiles(names.Options{Folders: names.Folders{Cache: []string{filepath.Dir(cache)}}})
	checkFunction(t, openIn(t, files, without), all["hidden_level"], "hidden_level")

	// A debug file of another build has the same name, but is not the module's.
	other := compile(t, "gcc", "sorter.c", "-O1", "-g", "-Wl,--build-id=0xdeadbeef")
	tool(t, "objcopy", "--only-keep-debug", other, debug)
	if got := name(open(t, without, dir), all["hidden_level"].Value); got != "" {
		t.Errorf("%q from a debug file of another build", got)
	}
	// What is no file must not keep gizmo waiting.
	if err := os.Remove(debug); err != nil {
		t.Fatal(err)
	}
	tool(t, "mkfifo", debug)
	if got := name(open(t, without, dir), all["hidden_level"].Value); got != "" {
		t.Errorf("%q from a pipe", got)
	}
}

// A module without a build id names its debug file, whose checksum it knows.
func TestDebugLink(t *testing.T) {
	t.Parallel()
	path := compile(t, "gcc", "sorter.c", "-O2", "-g", "-Wl,--build-id=none")
	all := symbolsOf(t, path)
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, ".debug"), 0o700); err != nil {
		t.Fatal(err)
	}
	debug := filepath.Join(dir, ".debug", "program.debug")
	tool(t, "objcopy", "--only-keep-debug", path, debug)
	linked := filepath.Join(dir, "program")
	tool(t, "objcopy", "--strip-all", "--add-gnu-debuglink="+debug, path, linked)
	checkFunction(t, open(t, linked), all["hidden_level"], "hidden_level")
	other := compile(t, "gcc", "sorter.c", "-O1", "-g", "-Wl,--build-id=none")
	tool(t, "objcopy", "--only-keep-debug", other, debug)
	if got := name(open(t, linked), all["hidden_level"].Value); got != "" {
		t.Errorf("%q from a debug file of another build", got)
	}
}

// withMini is a stripped program with the names of its functions compressed inside.
func withMini(t testing.TB, program string, compress ...string) string {
	t.Helper()
	dir := t.TempDir()
	mini, out := filepath.Join(dir, "mini"), filepath.Join(dir, "program")
	tool(t, "objcopy", "-S", "--keep-symbol=hidden_level", "--keep-symbol=hidden_compare", program, mini)
	tool(t, "xz", append(compress, mini)...)
	tool(t, "objcopy", "-S", "--add-section", ".gnu_debugdata="+mini+".xz", program, out)
	return out
}

func TestMini(t *testing.T) {
	t.Parallel()
	path := compile(t, "gcc", "sorter.c", "-O2", "-Wl,--export-dynamic-symbol=shown_sorter")
	all := symbolsOf(t, path)
	for _, compress := range []string{"-9", "-0 --check=none", "--check=sha256 --block-size=4096", "--lzma2=dict=4KiB"} {
		f := open(t, withMini(t, path, strings.Fields(compress)...))
		checkFunction(t, f, all["hidden_level"], "hidden_level")
		checkFunction(t, f, all["shown_sorter"], "shown_sorter") // is in the other table
	}
}

func TestCPlusPlus(t *testing.T) {
	t.Parallel()
	path := compile(t, "g++", "shapes.cpp", "-O2")
	f, all := open(t, path), symbolsOf(t, path)
	for system, want := range map[string]string{
		"_ZNK6shapes3BoxIlE4areaEl": "shapes::Box<long>::area", "_ZN6shapes5totalEll": "shapes::total", "main": "main",
	} {
		checkFunction(t, f, all[system], want)
		if fn := f.Lookup(all[system].Value); fn.System != system {
			t.Errorf("%q is called %q in the table", want, fn.System)
		}
	}
}

func TestGo(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"exe", "pie"} {
		path := compile(t, "go", "./goprog", "-buildmode="+mode)
		all := symbolsOf(t, path)
		for _, file := range []string{path, compile(t, "go", "./goprog", "-buildmode="+mode, "-ldflags=-s -w"), stripped(t, path)} {
			f := open(t, file)
			for _, fn := range []string{"main.sorter", "main.main", "main.(*list).Less", "runtime.main", "runtime.goexit.abi0"} {
				want := strings.TrimSuffix(fn, ".abi0")
				s, ok := all[fn]
				if !ok {
					t.Fatalf("the fixture has no %s", fn)
				}
				if got := name(f, s.Value); got != want {
					t.Errorf("%s, %s: %q, want %q", mode, file, got, want)
				}
			}
			checkFunction(t, f, all["main.sorter"], "main.sorter")
		}
	}
}

// The C library of this machine: exported functions have the names that people know.
func TestLibc(t *testing.T) {
	t.Parallel()
	path := strings.TrimSpace(tool(t, "gcc", "-print-file-name=libc.so.6"))
	f := open(t, path)
	std, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer std.Close()
	list, err := std.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	wanted := map[string]bool{"qsort_r": true, "puts": true, "read": true, "malloc": true}
	checked := 0
	for _, s := range list {
		if elf.ST_TYPE(s.Info) != elf.STT_FUNC || s.Section == elf.SHN_UNDEF || s.Size == 0 {
			continue
		}
		got := name(f, s.Value)
		if wanted[s.Name] && got != s.Name {
			t.Errorf("%q, want %q", got, s.Name)
		}
		if got == "" {
			t.Errorf("no name for %s at %#x", s.Name, s.Value)
		}
		checked++
	}
	if checked < 1000 {
		t.Errorf("only %d functions", checked)
	}
}

func TestVDSO(t *testing.T) {
	t.Parallel()
	files := names.NewFiles(names.Options{})
	f, err := files.OpenVDSO()
	if err != nil {
		t.Fatal(err)
	}
	if f.Module().Name != "[vdso]" || f.Module().BuildID == "" {
		t.Errorf("%+v", f.Module())
	}
	found := false
	for addr := f.Module().Start; addr < f.Module().Limit; addr += 16 {
		found = found || strings.HasSuffix(name(f, addr), "clock_gettime")
	}
	if !found {
		t.Error("clock_gettime is nowhere")
	}
}

// The place of a byte in the file and its address agree with the program headers, to whole pages.
func TestAddress(t *testing.T) {
	t.Parallel()
	page := uint64(os.Getpagesize())
	file := elftest.File{Segments: []elf.Prog64{
		{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R), Vaddr: 0x10000, Filesz: 0x3000},
		{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Off: 2*page + 0x40, Vaddr: 0x400000 + 2*page + 0x40, Filesz: page},
	}}
	f := openBytes(t, file.Bytes())
	if m := f.Module(); m.Start != 0x400000+2*page || m.Limit != 0x400000+4*page || m.Offset != 2*page {
		t.Errorf("%+v", m)
	}
	for offset, addr := range map[uint64]uint64{
		2*page + 0x40: 0x400000 + 2*page + 0x40, 3*page + 0x3f: 0x400000 + 3*page + 0x3f,
		2 * page: 0x400000 + 2*page, 4*page - 1: 0x400000 + 4*page - 1,
		0: 0, 2*page - 1: 0, 4 * page: 0, 1<<64 - 1: 0,
	} {
		if got, ok := f.Address(offset); ok != (addr != 0) || ok && got != addr {
			t.Errorf("%#x: %#x, %t, want %#x", offset, got, ok, addr)
		}
	}
}

func TestNotCode(t *testing.T) {
	t.Parallel()
	files := names.NewFiles(names.Options{})
	if _, err := files.Open(strings.NewReader("PK\x03\x04"), 4, "/app.jar"); !errors.Is(err, elffile.ErrNotELF) || !strings.Contains(err.Error(), "/app.jar") {
		t.Errorf("got %v", err)
	}
	file := elftest.File{Segments: []elf.Prog64{elftest.Data(0, 0x40)}}
	data := file.Bytes()
	if _, err := files.Open(bytes.NewReader(data), int64(len(data)), "/data"); err == nil || !strings.Contains(err.Error(), "executable") {
		t.Errorf("got %v", err)
	}
}
