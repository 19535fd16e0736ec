// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package kerneltest guards tests that need something of the machine. Where it is missing a test is
// skipped, except in CI, where it fails: a skipped test proves nothing.
package kerneltest

import (
	"os"
	"os/exec"
	"testing"
)

// RequireRoot skips the test, or fails it in CI, unless it runs as root.
func RequireRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		Missing(t, "it needs root")
	}
}

// RequireProgram skips the test, or fails it in CI, unless one of the programs is in PATH. It
// returns the path of the first program that it finds.
func RequireProgram(t testing.TB, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	Missing(t, "none of these programs is installed: %v", names)
	return ""
}

// Missing ends the test because the machine lacks something: as failed in CI, which must
// have it, otherwise as skipped.
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}
