// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package names_test

import (
	"bytes"
	"debug/elf"
	"debug/gosym"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/internal/elffile/elftest"
	"github.com/gizmo-ebpf/gizmo/symbol"
	"github.com/gizmo-ebpf/gizmo/symbol/names"
)

// linesOf is what addr2line of binutils says about addresses: a text for each.
func linesOf(t *testing.T, path string, addrs []uint64) []string {
	t.Helper()
	args := []string{"-a", "-f", "-i", "-C", "-e", path}
	for _, a := range addrs {
		args = append(args, fmt.Sprintf("%#x", a))
	}
	var all []string
	out := strings.Split(strings.TrimSpace(tool(t, "addr2line", args...)), "\n")
	for i := 0; i < len(out); {
		if strings.HasPrefix(out[i], "0x") {
			all = append(all, "")
			i++
			continue
		}
		place, _, _ := strings.Cut(out[i+1], " (discriminator")
		file, line, _ := strings.Cut(place, ":")
		if file = filepath.Clean(file); line == "?" || line == "0" {
			file, line = "", "0"
		}
		all[len(all)-1] += fmt.Sprintf("%s %s:%s\n", out[i], file, line)
		i += 2
	}
	return all
}

func textOf(lines []symbol.Line) string {
	var b strings.Builder
	for _, l := range lines {
		name := "??"
		if l.Function != nil {
			name = l.Function.Name
		}
		fmt.Fprintf(&b, "%s %s:%d\n", name, l.File, l.Line)
	}
	return b.String()
}

// soon is a deadline that is not reached.
func soon() time.Time { return time.Now().Add(time.Minute) }

// allLines returns the lines at addresses.
func allLines(f *names.File, addrs ...uint64) (map[uint64][]symbol.Line, error) {
	all := make(map[uint64][]symbol.Line)
	err := f.Lines(addrs, soon(), func(addr uint64, lines []symbol.Line) { all[addr] = slices.Clone(lines) })
	return all, err
}

// addresses are all within a function.
func addresses(s elf.Symbol) []uint64 {
	var all []uint64
	for a := s.Value; a < s.Value+s.Size; a++ {
		all = append(all, a)
	}
	return all
}

func checkLines(t *testing.T, f *names.File, path string, s elf.Symbol) (deepest int) {
	t.Helper()
	addrs := addresses(s)
	all, err := allLines(f, addrs...)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range linesOf(t, path, addrs) {
		lines := all[addrs[i]]
		if got := textOf(lines); got != want {
			t.Errorf("%#x, %s+%#x:\n%swant\n%s", addrs[i], s.Name, addrs[i]-s.Value, got, want)
		}
		deepest = max(deepest, len(lines))
	}
	return deepest
}

func TestLines(t *testing.T) {
	t.Parallel()
	for _, compiler := range []string{"gcc", "clang-19"} {
		for _, options := range []string{"-O2 -g", "-O2 -gdwarf-4", "-O2 -g -gz=zlib", "-O2 -g -ffunction-sections -fPIE -Wl,--gc-sections", "-O1 -g -no-pie"} {
			t.Run(compiler+" "+options, func(t *testing.T) {
				t.Parallel()
				path := compile(t, compiler, "inlined.c", append(strings.Fields(options), "-Wl,--build-id=sha1")...)
				right := path
				if compiler != "gcc" { // Debian's addr2line does not find all that clang writes in version 5
					right = compile(t, compiler, "inlined.c", append(strings.Fields(options), "-gdwarf-4")...)
				}
				all := symbolsOf(t, path)
				if n := checkLines(t, open(t, path), right, all["outermost"]); n != 3 {
					t.Errorf("%d calls within each other, want 3", n)
				}
				without := stripped(t, path)
				if lines, err := allLines(open(t, without), all["main"].Value); len(lines) > 0 || !errors.Is(err, names.ErrNoLines) {
					t.Errorf("%v, %v for a file without debug information", lines, err)
				}
				f := open(t, without)
				dir, _ := debugFolder(t, path, f.Module().BuildID)
				checkLines(t, open(t, without, dir), right, all["outermost"])
			})
		}
	}
}

// A function has the line where it begins, wherever a call of it was inlined from another file.
func TestPlacesOfInlinedCalls(t *testing.T) {
	t.Parallel()
	for _, compiler := range []string{"gcc", "clang-19"} {
		path := compile(t, compiler, "inlined.c", "-O2", "-g")
		found, err := allLines(open(t, path), addresses(symbolsOf(t, path)["outermost"])...)
		if err != nil {
			t.Fatal(err)
		}
		deep := 0
		for addr, lines := range found {
			if len(lines) < 3 || lines[0].Line == 0 {
				continue
			}
			deep++
			var got strings.Builder
			for _, l := range lines {
				fmt.Fprintf(&got, "%s of %s:%d; ", l.Function.Name, filepath.Base(l.File), l.Start)
			}
			if want := "innermost of inlined.h:10; middle of inlined.c:7; outermost of inlined.c:15; "; got.String() != want {
				t.Errorf("%s, %#x: got %s, want %s", compiler, addr, &got, want)
			}
		}
		if deep == 0 {
			t.Errorf("%s: no address has three calls", compiler)
		}
	}
}

func TestLinesOfCPlusPlus(t *testing.T) {
	t.Parallel()
	path := compile(t, "g++", "shapes.cpp", "-O2", "-g")
	at := symbolsOf(t, path)["_ZNK6shapes3BoxIlE4areaEl"].Value
	found, err := allLines(open(t, path), at)
	lines := found[at]
	if err != nil || len(lines) != 1 || *lines[0].Function != (symbol.Function{Name: "shapes::Box<long>::area", System: "_ZNK6shapes3BoxIlE4areaEl"}) ||
		!strings.HasSuffix(lines[0].File, "/shapes.cpp") {
		t.Errorf("%+v, %v", lines, err)
	}
}

// goLineTable is what the standard library finds in the table of Go's runtime.
func goLineTable(t *testing.T, path string) *gosym.Table {
	t.Helper()
	std, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer std.Close()
	text, err := std.Section(".gopclntab").Data()
	if err != nil {
		t.Fatal(err)
	}
	table, err := gosym.NewTable(nil, gosym.NewLineTable(text, symbolsOf(t, path)["runtime.text"].Value))
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// The innermost lines are those of Go's own table, and the outermost functions too. Without debug information they come from that table.
func TestLinesOfGo(t *testing.T) {
	t.Parallel()
	path := compile(t, "go", "./goprog")
	all, table := symbolsOf(t, path), goLineTable(t, path)
	deepest := 0
	for file, most := range map[string]int{path: 10, stripped(t, path): 1} {
		f := open(t, file)
		for _, fn := range []string{"main.sorter", "main.main", "sort.insertionSort"} {
			found, err := allLines(f, addresses(all[fn])...)
			if err != nil {
				t.Fatal(err)
			}
			for _, addr := range addresses(all[fn]) {
				file, line, _ := table.PCToLine(addr)
				lines := found[addr]
				if len(lines) == 0 || len(lines) > most {
					t.Fatalf("%#x in %s: %v", addr, fn, lines)
				}
				if lines[0].File != file || lines[0].Line != line || lines[len(lines)-1].Function.Name != fn {
					t.Errorf("%#x in %s: %+v, want %s:%d", addr, fn, lines, file, line)
				}
				deepest = max(deepest, len(lines))
			}
		}
	}
	if deepest < 2 {
		t.Error("no call was inlined")
	}
}

// What is found before the time is over is right, and the rest is missing.
func TestLinesTakeTooLong(t *testing.T) {
	t.Parallel()
	path := compile(t, "go", "./goprog")
	for _, file := range []string{path, stripped(t, path)} {
		err := open(t, file).Lines(addresses(symbolsOf(t, path)["main.main"]), time.Now(), func(uint64, []symbol.Line) {})
		if !errors.Is(err, names.ErrSlow) {
			t.Errorf("after the deadline: %v", err)
		}
	}
}

// debugProgram is a program with debug information whose sections the caller changes.
func debugProgram(t testing.TB, change func(name string, data []byte) []byte) []byte {
	t.Helper()
	path := compile(t, "gcc", "inlined.c", "-O2", "-g", "-no-pie")
	std, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer std.Close()
	text := std.Section(".text")
	file := elftest.File{Type: elf.ET_EXEC, Segments: []elf.Prog64{{
		Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_X), Vaddr: text.Addr, Off: 64 + 56, Filesz: text.Size,
	}}}
	for _, s := range std.Sections {
		if !strings.HasPrefix(s.Name, ".debug_") && s.Name != ".text" {
			continue
		}
		data, err := s.Data()
		if err != nil {
			t.Fatal(err)
		}
		file.Sections = append(file.Sections, elftest.Section{
			Name: s.Name, Section64: elf.Section64{Type: uint32(elf.SHT_PROGBITS), Addr: s.Addr}, Data: change(s.Name, bytes.Clone(data)),
		})
	}
	return file.Bytes()
}

// Headers that announce more than there can be cost neither memory nor time.
func TestHostileDWARF(t *testing.T) {
	t.Parallel()
	tests := map[string]func(name string, data []byte) []byte{
		"folders without end": func(name string, data []byte) []byte {
			if name == ".debug_line" {
				// The count follows the format of folders, one pair: after 8+4+6+12 bytes and 1+2.
				const at = 4 + 2 + 2 + 4 + 6 + 12 + 1 + 2
				return append(append(data[:at:at], 0xff, 0xff, 0xff, 0xff, 0x7f), data[at+1:]...)
			}
			return data
		},
		"many units": func(name string, data []byte) []byte {
			if name == ".debug_info" {
				return bytes.Repeat([]byte{1, 0, 0, 0, 0}, 1<<20)
			}
			return data
		},
		"tables that overlap": func(name string, data []byte) []byte {
			switch name {
			case ".debug_abbrev":
				return append(bytes.Repeat([]byte{1, 0x11, 1, 0, 0}, 1000), 0)
			case ".debug_info":
				var b []byte
				for i := range uint32(1000) {
					b = append(b, elftest.Pack(uint32(8), uint16(4), 5*i, byte(8), byte(0))...)
				}
				return b
			}
			return data
		},
		"a file before the first": func(name string, data []byte) []byte {
			if name == ".debug_line" {
				program := 12 + binary.LittleEndian.Uint32(data[8:])
				const setFile = 4
				copy(data[program:], []byte{setFile, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
			}
			return data
		},
		"nothing": func(string, []byte) []byte { return nil },
	}
	for name, change := range tests {
		start := time.Now()
		f := openBytes(t, debugProgram(t, change))
		var addrs []uint64
		for addr := f.Module().Start; addr < f.Module().Limit; addr += 8 {
			addrs = append(addrs, addr)
		}
		found, err := allLines(f, addrs...)
		for _, lines := range found {
			for _, l := range lines {
				if l.Line != 0 && l.File != "" && l.Function != nil && l.Function.Name == "outermost" {
					t.Errorf("%s: %+v", name, l)
				}
			}
		}
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("%s took %s", name, d)
		}
		if name != "folders without end" && err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzLines(f *testing.F) {
	all := make(map[string][]byte)
	var text []byte
	program := debugProgram(f, func(name string, data []byte) []byte {
		all[name] = data
		return data
	})
	std, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		f.Fatal(err)
	}
	start := std.Section(".text").Addr
	text = all[".text"]
	f.Add(all[".debug_info"], all[".debug_abbrev"], all[".debug_line"], all[".debug_line_str"], all[".debug_rnglists"], uint16(0x130))
	f.Fuzz(func(t *testing.T, info, abbrev, line, lineStr, ranges []byte, at uint16) {
		file := elftest.File{Segments: []elf.Prog64{{
			Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_X), Vaddr: start, Off: 0, Filesz: uint64(len(text)),
		}}}
		for name, data := range map[string][]byte{
			".debug_info": info, ".debug_abbrev": abbrev, ".debug_line": line, ".debug_line_str": lineStr, ".debug_rnglists": ranges,
			".debug_ranges": ranges, ".debug_str": all[".debug_str"],
		} {
			file.Sections = append(file.Sections, elftest.Section{
				Name: name, Section64: elf.Section64{Type: uint32(elf.SHT_PROGBITS)}, Data: data,
			})
		}
		opened := openBytes(t, file.Bytes())
		began := time.Now()
		_ = opened.Lines([]uint64{start, start + 1 + uint64(at), start + 0x10000}, began.Add(5*time.Second), func(_ uint64, lines []symbol.Line) {
			if len(lines) == 0 || len(lines) > 65 {
				t.Errorf("%d lines", len(lines))
			}
		})
		if d := time.Since(began); d > 10*time.Second {
			t.Errorf("it took %s", d)
		}
	})
}

func BenchmarkLines(b *testing.B) {
	path := compile(b, "go", "./goprog")
	s := symbolsOf(b, path)["main.sorter"]
	f := open(b, path)
	for b.Loop() {
		if err := f.Lines([]uint64{s.Value}, soon(), func(uint64, []symbol.Line) {}); err != nil {
			b.Fatal(err)
		}
	}
}

// A constant in a table of abbreviations may have 64 bits and a sign.
func TestLargeConstants(t *testing.T) {
	t.Parallel()
	least := []byte{0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f} // -0x7fffffffffffffff
	table := append(append([]byte{1, 0x28, 0, 0x1c, 0x21}, least...), 0, 0, 0)
	for n := range table {
		if names.EndsAbbrevs(table[:n]) {
			t.Errorf("a table that is cut after %d bytes ends", n)
		}
	}
	if !names.EndsAbbrevs(table) {
		t.Error("the table does not end")
	}
}

// A section that cannot be read costs what it says, and no more.
func TestSectionThatCannotBeRead(t *testing.T) {
	t.Parallel()
	path := compile(t, "gcc", "inlined.c", "-O2", "-g")
	tool(t, "objcopy", "--compress-debug-sections=zlib", path)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	std, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer std.Close()
	at := symbolsOf(t, path)["outermost"].Value
	for section, want := range map[string]string{".debug_line": "outermost :0\n", ".debug_info": ""} {
		changed := bytes.Clone(data)
		const zstd = 2
		changed[std.Section(section).Offset] = zstd // the type of the compression
		found, err := allLines(openBytes(t, changed), at)
		if got := textOf(found[at]); got != want || err == nil || !strings.Contains(err.Error(), section) {
			t.Errorf("%s: %q, %v", section, got, err)
		}
	}
}
