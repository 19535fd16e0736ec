// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/build"
)

// place is a tree of gadgets and a folder for their objects.
type place struct {
	*testing.T
	in, out string
	log     bytes.Buffer
}

func newPlace(t *testing.T) *place {
	t.Helper()
	root := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", filepath.Join(root, "cache"))
	p := &place{T: t, in: filepath.Join(root, "gadgets"), out: filepath.Join(root, "objects")}
	p.write("one/program.bpf.c", "int one;\n")
	p.write("one/gadget.yaml", "name: one\n")
	p.write("two/program.bpf.c", "int two;\n")
	p.write("README.md", "not a gadget\n")
	p.write("_shared/shared.h", "not a gadget\n")
	p.write("internal/shared/shared.go", "not a gadget\n")
	return p
}

func (p *place) write(path, text string) {
	p.Helper()
	path = filepath.Join(p.in, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		p.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		p.Fatal(err)
	}
}

// run runs the command and ends the test where there is no compiler; in CI there is one.
func (p *place) run() error {
	p.Helper()
	p.log.Reset()
	err := run(p.Context(), []string{"-arch", "amd64", "-o", p.out, p.in}, &p.log)
	if errors.Is(err, build.ErrNoClang) && os.Getenv("CI") != "true" {
		p.Skip(err)
	}
	return err
}

// made lists the files below the folder of objects.
func (p *place) made() []string {
	p.Helper()
	paths, err := filepath.Glob(p.out + "/*/*")
	if err != nil {
		p.Fatal(err)
	}
	for i := range paths {
		paths[i], _ = filepath.Rel(p.out, paths[i])
	}
	return paths
}

func (p *place) expect(want ...string) {
	p.Helper()
	if got := p.made(); !slices.Equal(got, want) {
		p.Errorf("made %q, want %q\n%s", got, want, p.log.String())
	}
}

func TestGenerator(t *testing.T) {
	p := newPlace(t)
	if err := p.run(); err != nil {
		t.Fatalf("%v\n%s", err, p.log.String())
	}
	p.expect("one/gadget.yaml", "one/program.o", "two/program.o")

	// Unchanged files are not written again.
	then := time.Now().Add(-time.Hour).Truncate(time.Second)
	for _, file := range p.made() {
		if err := os.Chtimes(filepath.Join(p.out, file), then, then); err != nil {
			t.Fatal(err)
		}
	}
	p.write("two/program.bpf.c", "int changed;\n")
	if err := p.run(); err != nil {
		t.Fatal(err)
	}
	for file, same := range map[string]bool{"one/gadget.yaml": true, "one/program.o": true, "two/program.o": false} {
		st, err := os.Stat(filepath.Join(p.out, file))
		if err != nil || st.ModTime().Equal(then) != same {
			t.Errorf("%s: untouched %v, want %v (%v)", file, !same, same, err)
		}
	}

	// A gadget that has given up its program has no object.
	os.Remove(filepath.Join(p.in, "two/program.bpf.c"))
	p.write("two/gadget.yaml", "operator: {process: {emitstats: true}}\n")
	if err := p.run(); err != nil {
		t.Fatal(err)
	}
	p.expect("one/gadget.yaml", "one/program.o", "two/gadget.yaml")

	// A removed gadget leaves nothing behind.
	os.RemoveAll(filepath.Join(p.in, "two"))
	os.Remove(filepath.Join(p.in, "one/gadget.yaml"))
	if err := p.run(); err != nil {
		t.Fatal(err)
	}
	p.expect("one/program.o")
}

func TestGeneratorErrors(t *testing.T) {
	p := newPlace(t)
	p.write("bad/program.bpf.c", "int x = nowhere;\n")
	p.write("empty/README.md", "")
	err := p.run()
	if err == nil || !strings.Contains(err.Error(), "bad/program.bpf.c") || !strings.Contains(err.Error(), "empty is not a gadget") {
		t.Errorf("error %v; want one about both gadgets", err)
	}
	if !strings.Contains(p.log.String(), "bad/program.bpf.c:1:9: error: ") {
		t.Errorf("the compiler's messages are missing:\n%s", p.log.String())
	}
	p.expect("one/gadget.yaml", "one/program.o", "two/program.o")
}

func TestGeneratorKeepsWhatIsNotItsOwn(t *testing.T) {
	p := newPlace(t)
	precious := filepath.Join(p.out, "mine", "thesis.txt")
	if err := os.MkdirAll(filepath.Dir(precious), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(precious, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := p.run(); err == nil || !strings.Contains(err.Error(), "mine") {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(precious); err != nil {
		t.Error(err)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"gadgets"}, {"-o", "x"}, {"-o", "x", "a", "b"}, {"-o", "x", "nowhere"}, {"-o", "x", t.TempDir()}} {
		if err := run(t.Context(), args, &bytes.Buffer{}); err == nil {
			t.Errorf("%q was accepted", args)
		}
	}
}
