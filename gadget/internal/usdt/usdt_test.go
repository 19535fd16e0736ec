// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package usdt

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/elffile"
	"github.com/gizmo-ebpf/gizmo/internal/elffile/elftest"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// pack makes the note of a site.
func pack(n note) []byte {
	desc := elftest.Pack(n.location, n.base, n.semaphore)
	for _, s := range []string{n.provider, n.name, n.args} {
		desc = append(append(desc, s...), 0)
	}
	return packNote(noteName, noteType, desc)
}

func packNote(name string, kind uint32, desc []byte) []byte {
	out := elftest.Pack(uint32(len(name)), uint32(len(desc)), kind)
	for _, part := range []string{name, string(desc)} {
		out = append(out, part...)
		for len(out)%4 != 0 {
			out = append(out, 0)
		}
	}
	return out
}

const (
	base     = 0x400800 // where .stapsdt.base is
	codeSize = 0x200
)

// program has notes, code from 0x400000 and data from 0x400200.
func program(notes ...[]byte) []byte {
	f := elftest.File{
		Segments: []elf.Prog64{elftest.Code(codeSize), elftest.Data(codeSize, 0x100)},
		Sections: []elftest.Section{
			{Name: ".text", Section64: elf.Section64{Type: uint32(elf.SHT_PROGBITS)}, Data: make([]byte, 0x300)},
			{Name: noteSection, Section64: elf.Section64{Type: uint32(elf.SHT_NOTE)}, Data: bytes.Join(notes, nil)},
			{Name: baseSection, Section64: elf.Section64{Type: uint32(elf.SHT_PROGBITS), Addr: base}, Data: []byte{0}},
		},
	}
	return f.Bytes()
}

func find(t testing.TB, name string, notes ...[]byte) ([]Site, error) {
	t.Helper()
	return Find(elftest.Open(t, program(notes...)), "app", name)
}

func TestFind(t *testing.T) {
	t.Parallel()
	sites, err := find(t, "start",
		pack(note{elftest.Base + 0x10, base, 0, "app", "start", "8@%rax"}),
		pack(note{elftest.Base + 0x20, base, 0, "app", "stop", ""}),
		packNote("GNU", 3, []byte("something else")),
		packNote(noteName, 4, []byte("of another version")),
		pack(note{elftest.Base + 0x30, base, elftest.Base + codeSize + 8, "app", "start", "-4@$7"}),
		pack(note{elftest.Base + 0x40, base, 0, "other", "start", ""}),
		pack(note{elftest.Base + 0x10, base, 0, "app", "start", "8@%rax"}), // once more
	)
	if err != nil {
		t.Fatal(err)
	}
	if len(sites) != 2 {
		t.Fatalf("%d sites: %+v", len(sites), sites)
	}
	if s := sites[0]; s.Offset != 0x10 || s.Semaphore != 0 || s.Address != elftest.Base+0x10 || s.Args.Count != 1 || s.Args.First[0].Kind != Reg {
		t.Errorf("first: %+v", s)
	}
	if s := sites[1]; s.Offset != 0x30 || s.Semaphore != codeSize+8 || s.Args.Count != 1 || s.Args.First[0].Value != 7 {
		t.Errorf("second: %+v", s)
	}
}

// A program that has been moved since its notes were made: prelink does that.
func TestMoved(t *testing.T) {
	t.Parallel()
	const by = 0x1000
	for _, moved := range []note{
		{elftest.Base + 0x10 - by, base - by, elftest.Base + codeSize - by, "app", "up", ""},
		{elftest.Base + 0x10 + by, base + by, elftest.Base + codeSize + by, "app", "down", ""},
		{elftest.Base + 0x10, 0, elftest.Base + codeSize, "app", "unknown", ""},
	} {
		sites, err := find(t, moved.name, pack(moved))
		if err != nil || sites[0].Offset != 0x10 || sites[0].Semaphore != codeSize {
			t.Errorf("%s: %+v, %v", moved.name, sites, err)
		}
	}
}

func TestLies(t *testing.T) {
	t.Parallel()
	good := note{elftest.Base + 0x10, base, 0, "app", "start", ""}
	tests := map[string]struct {
		change func(n *note)
		want   string
	}{
		"nowhere":           {func(n *note) { n.location = 0x10 }, "no part of the file"},
		"in data":           {func(n *note) { n.location = elftest.Base + codeSize }, "not executable"},
		"far away":          {func(n *note) { n.base = 1 << 63 }, "no part of the file"},
		"semaphore nowhere": {func(n *note) { n.semaphore = 8 }, "semaphore"},
		"semaphore in code": {func(n *note) { n.semaphore = elftest.Base }, "not writable"},
	}
	for name, test := range tests {
		n := good
		test.change(&n)
		_, err := find(t, "start", pack(n))
		if err == nil || !strings.Contains(err.Error(), test.want) || len(err.Error()) > 500 {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

// Whatever is written about arguments, the site is found.
func TestLiesAboutArguments(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]struct {
		count int
		why   string
	}{
		"no arguments":             {2, `argument 1, "no"`},
		strings.Repeat("(", 1<<16): {1, "argument 1"},
		"4@nothing(%rip)":          {1, "no symbol"},
		"8f@%xmm0 8@%rax":          {2, "floating"},
	} {
		sites, err := find(t, "start", pack(note{elftest.Base + 0x10, base, 0, "app", "start", args}))
		if err != nil {
			t.Errorf("%.64s: %v", args, err)
			continue
		}
		got := sites[0].Args
		if why := got.First[0].Why; got.Count != want.count || why == nil || !strings.Contains(why.Error(), want.why) || len(why.Error()) > 500 {
			t.Errorf("%.64s: %d, %v, want %q", args, got.Count, why, want.why)
		}
	}
}

func TestDamagedNotes(t *testing.T) {
	t.Parallel()
	good := pack(note{elftest.Base + 0x10, base, 0, "app", "start", ""})
	size := func(at int, n uint32) []byte {
		b := bytes.Clone(good)
		binary.LittleEndian.PutUint32(b[at:], n)
		return b
	}
	for name, b := range map[string][]byte{
		"header cut off": good[:8],
		"cut off":        good[:30],
		"long name":      size(0, 1<<32-1),
		"long contents":  size(4, 1<<32-1),
		"no words":       packNote(noteName, noteType, make([]byte, 10)),
		"no texts":       packNote(noteName, noteType, make([]byte, 24)),
		"no end":         packNote(noteName, noteType, append(make([]byte, 26), "start"...)),
	} {
		if _, err := find(t, "start", b); !errors.Is(err, errDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNotFound(t *testing.T) {
	t.Parallel()
	_, err := find(t, "strat", pack(note{elftest.Base, base, 0, "app", "start", ""}))
	if !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), `did you mean "app:start"?`) {
		t.Errorf("a typing error: %v", err)
	}
	file := elftest.File{}
	_, err = Find(elftest.Open(t, file.Bytes()), "app", "start")
	if !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "none at all") {
		t.Errorf("a program without probes: %v", err)
	}
}

func TestManySites(t *testing.T) {
	t.Parallel()
	var notes [][]byte
	for range maxSites + 1 {
		notes = append(notes, pack(note{elftest.Base, base, 0, "app", "start", ""}))
	}
	if sites, err := find(t, "start", notes...); err == nil {
		t.Errorf("%d sites", len(sites))
	}
}

// A program with probes as compilers make them.
func TestCompiled(t *testing.T) {
	t.Parallel()
	if runtime.GOARCH != "amd64" {
		t.Skip("the fixture is for amd64")
	}
	out := filepath.Join(t.TempDir(), "out")
	cc := kerneltest.RequireProgram(t, "gcc", "clang-19", "clang")
	if text, err := exec.Command(cc, "-O1", "-o", out, "testdata/program.c").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	f := elftest.Open(t, data)
	sites, err := Find(f, "fixture", "many")
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range sites {
		if data[s.Offset] != 0x90 { // nop
			t.Errorf("site %d: no probe at %#x but %#x", i, s.Offset, data[s.Offset])
		}
		if got := binary.LittleEndian.Uint16(data[s.Semaphore:]); got != 0x5e3a {
			t.Errorf("site %d: no semaphore at %#x but %#x", i, s.Semaphore, got)
		}
	}
	if len(sites) != 2 || sites[0].Args.Count != 3 || sites[0].Args.First[2] != (Arg{Kind: Const, Size: 4, Signed: true, Value: -77}) {
		t.Errorf("%+v", sites)
	}
}

func FuzzFind(f *testing.F) {
	f.Add(pack(note{elftest.Base + 0x10, base, elftest.Base + codeSize, "app", "start", "8@%rax 4@8(%rsp)"}), true)
	f.Add(packNote("GNU", 3, []byte("something else")), true)
	f.Fuzz(func(t *testing.T, notes []byte, wide bool) {
		_ = eachNote(notes, wide, func(n *note) error {
			if len(n.provider)+len(n.name)+len(n.args) > len(notes) {
				t.Errorf("%+v", n)
			}
			return nil
		})
		sites, err := find(t, "start", notes)
		if err != nil {
			return
		}
		for _, s := range sites {
			if s.Offset >= codeSize || s.Semaphore >= 0x300 {
				t.Errorf("%+v", s)
			}
		}
	})
}

// FuzzFile is about files that are damaged elsewhere.
func FuzzFile(f *testing.F) {
	f.Add(program(pack(note{elftest.Base + 0x10, base, elftest.Base + codeSize, "app", "start", "8@%rax"})))
	f.Fuzz(func(_ *testing.T, data []byte) {
		if file, err := elffile.New(bytes.NewReader(data), int64(len(data))); err == nil {
			_, _ = Find(file, "app", "start")
		}
	})
}
