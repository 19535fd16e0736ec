// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package scripts

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// In CI, two parts of tests that fail may pass when they run again, and are named. All else that fails, fails.
func TestUnsteadyTests(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("testdata/unsteady.go.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, parts, ci string
		fails           bool
		want            []string
	}{
		{"passes", "", "true", false, nil},
		{"fails once", "once b", "true", false, []string{"part b fails", "UNSTEADY: ", "unsteady.TestParts/b: 2 runs, 1 failures"}},
		{"two fail once", "once ab", "true", false, []string{"part a fails", "part b fails", "UNSTEADY: "}},
		{"three fail once", "once abc", "true", true, []string{"part a fails", "part b fails", "part c fails"}},
		{"one fails again", "always c", "true", true, []string{"part c fails"}},
		{"panics", "panic a", "true", true, []string{"panic: a panic"}},
		{"fails once, not in CI", "once b", "", true, []string{"part b fails"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range map[string]string{"go.mod": "module unsteady\n", "unsteady_test.go": string(source)} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.Command("scripts/go-test.sh", dir, "./...", "-count=1")
			cmd.Dir = "../.."
			cmd.Env = append(os.Environ(), "CI="+c.ci, "PARTS="+c.parts)
			out, err := cmd.CombinedOutput()
			unsteady := !c.fails && c.want != nil
			if (err != nil) != c.fails || strings.Contains(string(out), "UNSTEADY") != unsteady {
				t.Errorf("%v, and it said %s", err, out)
			}
			for _, want := range c.want {
				if !strings.Contains(string(out), want) {
					t.Errorf("no %q in %s", want, out)
				}
			}
		})
	}
}
