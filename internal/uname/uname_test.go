// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package uname

import (
	"os"
	"runtime"
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	t.Parallel()
	want, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		t.Fatal(err)
	}
	if got := Release(); got != strings.TrimSpace(string(want)) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := Machine(), map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
