// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestExplainBTF(t *testing.T) {
	t.Parallel()
	got := explainBTF(fs.ErrNotExist)
	want := "this kernel has no BTF (/sys/kernel/btf/vmlinux), which gadgets need to read the kernel's structs; " +
		"use a kernel built with CONFIG_DEBUG_INFO_BTF=y: file does not exist"
	if got.Error() != want || !errors.Is(got, fs.ErrNotExist) {
		t.Errorf("got %v", got)
	}
}

// Kernels before 5.11 count maps as locked memory.
func TestErrorsOfLockedMemory(t *testing.T) {
	t.Parallel()
	if err := explainMemlock(nil); err != nil {
		t.Error(err)
	}
	err := explainMemlock(fmt.Errorf("failed to set memlock rlimit: %w", unix.EPERM))
	mustSay(t, err, "missing privileges: kernels before 5.11", "CAP_SYS_RESOURCE", "ulimit -l unlimited", "operation not permitted")
	if !errors.Is(err, ErrPrivileges) {
		t.Errorf("%v is no want of privileges", err)
	}
	mustSay(t, explainMemlock(unix.EINVAL), "raise the limit of locked memory: invalid argument")
}

// mustSay fails the test unless the error holds all the texts.
func mustSay(t *testing.T, err error, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("got %v, want something with %q", err, text)
		}
	}
}
