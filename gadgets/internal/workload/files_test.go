// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"path"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

func TestPadded(t *testing.T) {
	t.Parallel()
	for n := 9; n < 30; n++ {
		if got := Padded("plain", n); len(got) != n || path.Clean(got) != "plain" {
			t.Errorf("%d bytes: %q", n, got)
		}
	}
}

func TestCutPath(t *testing.T) {
	t.Parallel()
	long := "/" + strings.Repeat("d", MaxPath-1)
	for _, tt := range []struct{ path, want string }{
		{"/", "/"},
		{long, long},
		{"/e" + long, "..." + long},
		{"/e/f" + long, "..." + long},
		{"/e" + long[:MaxPath-1] + "/x", "..." + "/x"},
		{"/" + strings.Repeat("abc/", 300) + "end", "..." + "/" + strings.Repeat("abc/", 126) + "end"},
	} {
		if got := CutPath(tt.path); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.path, got, tt.want)
		}
	}
}

func TestOutcomeOf(t *testing.T) {
	t.Parallel()
	if got := OutcomeOf(0); got != (Outcome{}) {
		t.Errorf("a success: %+v", got)
	}
	if got, want := OutcomeOf(unix.ENOENT), (Outcome{"ENOENT", 2}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestMountDetached(t *testing.T) {
	t.Parallel()
	kerneltest.RequireRoot(t)
	root, err := MountDetached("tmpfs", "")
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(root)
	var fs unix.Statfs_t
	if err := unix.Fstatfs(root, &fs); err != nil || fs.Type != unix.TMPFS_MAGIC {
		t.Errorf("a file system of the type %#x, %v", fs.Type, err)
	}
	if _, err := MountDetached("no-such-kind", ""); err == nil {
		t.Error("a file system of a kind that there is not")
	}
}
