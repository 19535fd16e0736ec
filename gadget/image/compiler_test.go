// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/gadget/internal/fixture"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

const smallProgram = `__attribute__((section("socket"))) int program(void *ctx)
{
	return 0;
}
char LICENSE[] __attribute__((section("license"))) = "GPL";
`

// unstripped compiles a program and leaves the debug information in.
func unstripped(t *testing.T, clang string, flags ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	source, object := filepath.Join(dir, "program.c"), filepath.Join(dir, "program.o")
	if err := os.WriteFile(source, []byte(smallProgram), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(clang, append([]string{"-target", "bpf", "-O2", "-c", source, "-o", object}, flags...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	data, err := os.ReadFile(object)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// An object names its compiler in its debug information, if it has that.
func TestCompiler(t *testing.T) {
	t.Parallel()
	clang := kerneltest.RequireProgram(t, "clang-19", "clang-16", "clang-14", "clang")
	version, err := exec.Command(clang, "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	want, _, _ := strings.Cut(string(version), "\n")
	for _, debug := range []string{"-gdwarf-4", "-gdwarf-5"} {
		img, err := Parse(bytes.NewReader(unstripped(t, clang, "-g", debug)), nil)
		if err != nil || img.Compiler != want {
			t.Errorf("%s: got %+v, %v; want %s", debug, img, err, want)
			continue
		}
		if img, err = img.WithMetadata(img.Metadata); err != nil || img.Compiler != want {
			t.Errorf("with other metadata: %+v, %v", img, err)
		}
	}
	if img := parse(t, "minimal"); img.Compiler != "" {
		t.Errorf("stripped: %q", img.Compiler)
	}
}

// Debug information that is damaged, or names a compiler that no compiler has, says nothing, and the gadget is read all the same.
func TestDamagedDebugInformation(t *testing.T) {
	t.Parallel()
	clang := kerneltest.RequireProgram(t, "clang-19", "clang-16", "clang-14", "clang")
	object := unstripped(t, clang, "-g", "-gdwarf-4")
	for _, section := range []string{".debug_info", ".debug_abbrev", ".debug_str"} {
		p := &patient{t, bytes.Clone(object)}
		p.set(section, headerSize, 3)
		if img, err := Parse(bytes.NewReader(p.data), nil); err != nil || img.Compiler != "" {
			t.Errorf("%s: %+v, %v", section, img, err)
		}
	}
	name := []byte("clang version ")
	escape := bytes.ReplaceAll(object, name, []byte("cla\x1b[2Jersion "))
	if img, err := Parse(bytes.NewReader(escape), nil); err != nil || !strings.Contains(img.Compiler, `cla\x1b[2Jersion `) {
		t.Errorf("with an escape: %+v, %v", img, err)
	}
	if got := compilerOf(fixture.Compile(t, "minimal").Object[:100]); got != "" {
		t.Errorf("cut off: %q", got)
	}
}
