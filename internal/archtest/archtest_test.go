// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestImportsGoDownOnly(t *testing.T) {
	t.Parallel()
	packages, err := List("../..")
	if err != nil {
		t.Fatal(err)
	}
	if len(packages) < 5 {
		t.Fatalf("only %d packages were found", len(packages))
	}
	for _, wrong := range Gizmo().Check(packages) {
		t.Error(wrong)
	}
}

// The rules find the errors in a module that breaks each of them.
func TestBadModule(t *testing.T) {
	t.Parallel()
	packages, err := List(badModule(t))
	if err != nil {
		t.Fatal(err)
	}
	rules := Gizmo()
	got := rules.Check(packages)
	want := []string{
		"encode (floor 2) imports gadget (floor 3): imports go down only",
		"gadget/image must not import gadget/internal/kernel",
		"gadget/image must not import golang.org/x/sys/unix, nor through event",
		"gadget/image must not import os/exec",
		"encode imports wire, both on floor 2: imports go down only",
		"event (floor 0) imports pipeline (floor 1): imports go down only",
		"event imports golang.org/x/sys/unix, but may only import the standard library",
		"pipeline/deep/down (floor 1) imports wire (floor 2): imports go down only",
		"stage/one imports stage/two, both on floor 2: imports go down only",
		"wire (floor 2) imports gadget (floor 3): imports go down only",
		"surprise has no floor: give it one in internal/archtest/floors.go and in docs/ARCHITECTURE.md, below all that is to import it",
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// badModule writes a module with one or more wrong imports in most packages.
func badModule(t *testing.T) string {
	t.Helper()
	const module = "github.com/gizmo-ebpf/gizmo"
	root := t.TempDir()
	write := func(path, text string) {
		t.Helper()
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	imports := func(path string, paths ...string) {
		t.Helper()
		text := "package p\n"
		for _, p := range paths {
			text += "import _ \"" + strings.Replace(p, "@", module, 1) + "\"\n"
		}
		write(path, text)
	}
	write("go.mod", "module "+module+"\n\ngo 1.26\n")
	imports("event/p.go", "fmt", "golang.org/x/sys/unix", "@/pipeline")
	imports("event/p_test.go", "github.com/google/go-cmp/cmp") // fine: tests may
	imports("pipeline/p.go", "@/event", "@/pipeline/deep/down")
	imports("pipeline/deep/down/p.go", "@/pipeline/deep", "@/wire")
	imports("pipeline/deep/p.go")
	imports("wire/p.go", "@/event", "golang.org/x/sys/unix")
	imports("wire/p_test.go", "@/encode") // fine: sideways in a test
	write("wire/x_test.go", "package p_test\nimport _ \""+module+"/gadget\"\n")
	imports("encode/p.go", "@/wire", "@/gadget")
	imports("gadget/p.go", "@/encode", "@/wire", "@/event")
	imports("gadget/image/p.go", "@/event", "os/exec", "io/fs", "github.com/cilium/ebpf", "@/gadget/internal/kernel")
	imports("gadget/image/p_test.go", "os", "@/gadget/internal/hook") // fine: a test
	imports("gadget/internal/kernel/p.go", "golang.org/x/sys/unix")
	imports("gadget/internal/hook/p.go")
	imports("stage/p.go")
	imports("stage/one/p.go", "@/stage/two", "@/stage/one/inner", "@/pipeline")
	imports("stage/one/inner/p.go", "@/stage/one")
	imports("stage/two/p.go")
	imports("run/p.go", "@/gadget") // fine: listed
	imports("internal/cli/p.go", "@/run", "@/gadget")
	imports("surprise/p.go", "@/event")
	return root
}

func TestPart(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"event":                     "event",
		"semtype/internal/tables":   "semtype",
		"stage":                     "stage",
		"stage/filter":              "stage/filter",
		"stage/filter/deep/deeper":  "stage/filter",
		"gadgets/one/workload":      "gadgets/one",
		"gadgets/internal/workload": "gadgets/internal/workload",
		"include":                   "include",
		"include/gadget":            "include/gadget",
		"include/gadget/testdata":   "include/gadget",
		"eventual":                  "",
		"internal":                  "",
		"internal/new":              "",
		".":                         "",
	}
	for path, want := range tests {
		if got, ok := Gizmo().part(path); got != want || ok != (want != "") {
			t.Errorf("%s: part %q, %v; want %q", path, got, ok, want)
		}
	}
}
