// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gizmo-ebpf/gizmo/build"
	"github.com/gizmo-ebpf/gizmo/metadata"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestMain has more jobs: it is a process with few privileges, or one with many threads, when a test
// asks for one, and it fails when the tests leave something in the kernel.
func TestMain(m *testing.M) {
	if os.Getenv(threadsEnv) != "" {
		os.Exit(serveThreads())
	}
	if os.Getenv(unprivilegedEnv) != "" {
		os.Exit(loadUnprivileged())
	}
	code := m.Run()
	if left := kernelFDs(); len(left) > 0 {
		fmt.Fprintln(os.Stderr, "the tests left open:", left)
		code = 1
	}
	os.Exit(code)
}

// kernelFDs lists this process's descriptors of things that gadgets have in the kernel.
func kernelFDs() []string {
	var found []string
	links, _ := filepath.Glob("/proc/self/fd/*")
	for _, link := range links {
		to, err := os.Readlink(link)
		if err == nil && (strings.Contains(to, "bpf") || strings.Contains(to, "perf_event")) {
			found = append(found, to)
		}
	}
	slices.Sort(found)
	return found
}

// compiled holds a function for each fixture that compiles it once.
var compiled sync.Map

// compile returns testdata/NAME as a gadget. Where there is no clang the test ends: as failed where
// CI could run it.
func compile(t testing.TB, name string) *build.Result {
	t.Helper()
	once, _ := compiled.LoadOrStore(name, sync.OnceValues(func() (*build.Result, error) {
		return build.Dir(context.Background(), filepath.Join("testdata", name), nil)
	}))
	result, err := once.(func() (*build.Result, error))()
	var rejected *build.CompileError
	switch {
	case errors.Is(err, build.ErrNoClang) && os.Getenv("CI") != "true":
		t.Skip(err)
	case errors.As(err, &rejected):
		t.Fatalf("%v\n%s", err, rejected.Output)
	case err != nil:
		t.Fatal(err)
	case result.Warnings != "":
		t.Fatalf("%s: %s", name, result.Warnings)
	}
	return result
}

// parse analyses testdata/NAME without metadata.
func parse(t testing.TB, name string) *Image {
	t.Helper()
	return parseWith(t, name, "")
}

// parseWith analyses testdata/NAME with the text of a gadget.yaml.
func parseWith(t testing.TB, name, yaml string) *Image {
	t.Helper()
	img, err := parseObject(compile(t, name).Object, yaml)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func parseObject(object []byte, yaml string) (*Image, error) {
	if yaml == "" {
		return Parse(bytes.NewReader(object), nil)
	}
	meta, err := metadata.Parse("gadget.yaml", []byte(yaml))
	if err != nil {
		return nil, err
	}
	return Parse(bytes.NewReader(object), meta)
}

// fixtures lists the folders below testdata that match the pattern, relative to it.
func fixtures(t testing.TB, pattern string) []string {
	t.Helper()
	sources, err := filepath.Glob(filepath.Join("testdata", pattern, "program.bpf.c"))
	if err != nil || len(sources) == 0 {
		t.Fatal("no fixtures", pattern, err)
	}
	for i := range sources {
		sources[i], _ = filepath.Rel("testdata", filepath.Dir(sources[i]))
	}
	return sources
}

// golden compares lines of text with the file NAME in testdata, or writes it.
func golden(t *testing.T, name string, lines []string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	got := strings.Join(lines, "\n") + "\n"
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	for i := range max(len(lines), len(want)) {
		g, w := at(lines, i), at(want, i)
		if g != w {
			t.Errorf("%s:%d:\n got %s\nwant %s", path, i+1, g, w)
		}
	}
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(nothing)"
}
