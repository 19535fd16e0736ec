// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package uname

import (
	"fmt"
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

func TestAtLeast(t *testing.T) {
	t.Parallel()
	var major, minor int
	if _, err := fmt.Sscanf(Release(), "%d.%d", &major, &minor); err != nil {
		t.Fatal(err)
	}
	for version, want := range map[[2]int]bool{
		{major, minor}: true, {major - 1, minor + 1}: true, {major, minor + 1}: false, {major + 1, 0}: false, {major - 1, 0}: true,
	} {
		if got := AtLeast(version[0], version[1]); got != want {
			t.Errorf("%s is at least %v: %v", Release(), version, got)
		}
	}
}
