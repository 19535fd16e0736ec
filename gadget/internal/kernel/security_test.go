// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// The security modules are found where securityfs is mounted and where it is not, and are the same.
func TestSecurityModules(t *testing.T) {
	kerneltest.RequireRoot(t)
	got, err := SecurityModules()
	if err != nil || len(got) == 0 {
		t.Fatal(got, err)
	}
	unmounted, err := readUnmounted("securityfs", "lsm")
	if err != nil || strings.TrimSpace(string(unmounted)) != strings.Join(got, ",") {
		t.Errorf("%v, and unmounted %q, %v", got, unmounted, err)
	}
	if _, err := readUnmounted("securityfs", "nothing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v for a file that is not there", err)
	}
	if _, err := readUnmounted("no such file system", "lsm"); err == nil {
		t.Error("no error for a file system that is not there")
	}
}
