// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package scripts

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// "make test-release" tests the contents of a release. This file tests the cases in which there is no release.
func TestReleaseFailures(t *testing.T) {
	t.Parallel()
	script, err := os.ReadFile("../../scripts/release.sh")
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := filepath.Join(t.TempDir(), "scripts", "release.sh")
	if err := os.MkdirAll(filepath.Dir(elsewhere), 0o755); err != nil {
		t.Fatal(err)
	}
	kerneltest.WriteProgram(t, elsewhere, script)
	out := t.TempDir()
	for _, test := range []struct {
		name   string
		script string
		args   []string
		env    string
		want   string
	}{
		{"no folder", "../../scripts/release.sh", nil, "", "usage: "},
		{"no clone", elsewhere, []string{out}, "GIT_CEILING_DIRECTORIES=/", "this is not a clone of the repository"},
	} {
		cmd := exec.Command(test.script, test.args...)
		cmd.Env = append(os.Environ(), test.env)
		if said, err := cmd.CombinedOutput(); err == nil || !strings.HasPrefix(string(said), "release: "+test.want) {
			t.Errorf("%s: said %q, %v", test.name, said, err)
		}
	}
	if left, err := os.ReadDir(out); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// The script reports an unknown compiler before anything is built. That takes a clone, which an archive of the
// source is not.
func TestReleaseWithoutCompiler(t *testing.T) {
	t.Parallel()
	if err := exec.Command("git", "-C", "../..", "describe", "--always").Run(); err != nil {
		kerneltest.Missing(t, "not in a clone: %v", err)
	}
	cmd := exec.Command("../../scripts/release.sh", t.TempDir())
	cmd.Env = append(os.Environ(), "CLANG=clang-of-nowhere")
	if said, err := cmd.CombinedOutput(); err == nil || !strings.HasPrefix(string(said), "release: clang-of-nowhere is needed") {
		t.Errorf("said %q, %v", said, err)
	}
}
