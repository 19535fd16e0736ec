// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// goodGadget makes a folder of a gadget that works, called good.
func goodGadget(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "good")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	addGoodProgram(t, dir)
	return dir
}

// addGoodProgram puts a program that works into a gadget's folder.
func addGoodProgram(t *testing.T, dir string) {
	t.Helper()
	source, err := os.ReadFile("testdata/good.bpf.c")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "program.bpf.c"), source, 0o644); err != nil {
		t.Fatal(err)
	}
}

// A gadget need not be built in: a folder with a program is enough, by whichever path it is named.
func TestRunAFolder(t *testing.T) {
	kerneltest.RequireRoot(t)
	dir := goodGadget(t)
	cache := "XDG_CACHE_HOME=" + t.TempDir()
	for _, c := range []struct{ name, in string }{
		{dir, ""},
		{dir + "/", ""},
		{"./good", filepath.Dir(dir)},
		{"good", filepath.Dir(dir)},
		{".", dir},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := start(t, setup{dir: c.in, env: []string{cache}}, "run", c.name, "-o", "json")
			held := g.waitAttached(t)
			startOpener(t).open(t, 10, "/proc/version")
			g.interrupt(t)
			if events := strings.Count(g.out.String(), `{"number":1}`+"\n"); events < 10 {
				t.Errorf("%d events, want at least 10", events)
			}
			wantGone(t, held)
		})
	}
}

// Building without running needs no privileges.
func TestBuildAFolder(t *testing.T) {
	dir := goodGadget(t)
	object := filepath.Join(t.TempDir(), "good.o")
	g := run(t, setup{env: []string{"XDG_CACHE_HOME=" + t.TempDir()}}, "image", "build", dir, "--object", object)
	g.wantExit(t, 0)
	if !regexp.MustCompile(`^good: \d+ bytes, 1 programs, 1 data sources, 0 params\n$`).MatchString(g.out.String()) {
		t.Errorf("unexpected output: %s", g.out.String())
	}
	if data, err := os.ReadFile(object); err != nil || !strings.HasPrefix(string(data), "\x7fELF") {
		t.Errorf("there is no object in %s: %v", object, err)
	}
}
