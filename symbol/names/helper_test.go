// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package names_test

import (
	"bytes"
	"debug/elf"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/symbol/names"
)

// tool runs a program in testdata.
func tool(t testing.TB, program string, args ...string) string {
	t.Helper()
	kerneltest.RequireProgram(t, program)
	cmd := exec.Command(program, args...)
	cmd.Dir = "testdata"
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// compile makes a program of a source in testdata. The options follow the source.
func compile(t testing.TB, compiler, source string, options ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	args := append([]string{"-o", path, source}, options...)
	if compiler == "go" {
		args = append(append([]string{"build", "-o", path}, options...), source)
	}
	tool(t, compiler, args...)
	return path
}

// stripped is a copy of a program without its symbols.
func stripped(t testing.TB, path string, options ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "stripped")
	tool(t, "strip", append(options, "-o", out, path)...)
	return out
}

// open opens a file as a module of that path. Only the debug files in the folders given count.
func open(t testing.TB, path string, folders ...string) *names.File {
	t.Helper()
	return openIn(t, names.NewFiles(names.Options{Folders: names.Folders{Debug: folders}}), path)
}

func openIn(t testing.TB, files *names.Files, path string) *names.File {
	t.Helper()
	r, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { files.Close(); r.Close() })
	st, err := r.Stat()
	if err != nil {
		t.Fatal(err)
	}
	f, err := files.Open(r, st.Size(), path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// openBytes opens a file in memory.
func openBytes(t testing.TB, data []byte) *names.File {
	t.Helper()
	f, err := names.NewFiles(names.Options{}).Open(bytes.NewReader(data), int64(len(data)), "/test")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// symbolsOf returns what the standard library finds in a file's table of symbols.
func symbolsOf(t testing.TB, path string) map[string]elf.Symbol {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	list, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]elf.Symbol)
	for _, s := range list {
		all[s.Name] = s
	}
	return all
}

// name is the name at an address, or "".
func name(f *names.File, addr uint64) string {
	if fn := f.Lookup(addr); fn != nil {
		return fn.Name
	}
	return ""
}

// checkFunction checks the name at the start, in the middle and at the end of a function.
func checkFunction(t *testing.T, f *names.File, s elf.Symbol, want string) {
	t.Helper()
	if s.Size == 0 {
		t.Fatalf("the fixture's %s has no size", want)
	}
	for _, addr := range []uint64{s.Value, s.Value + s.Size/2, s.Value + s.Size - 1} {
		if got := name(f, addr); got != want {
			t.Errorf("%#x in %s+%#x: %q, want %q", addr, s.Name, addr-s.Value, got, want)
		}
	}
}

type countingReader struct {
	io.ReaderAt
	reads int
}

func (c *countingReader) ReadAt(p []byte, off int64) (int, error) {
	c.reads++
	return c.ReaderAt.ReadAt(p, off)
}
