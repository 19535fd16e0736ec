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
	if err := explainMemlock(nil, ""); err != nil {
		t.Error(err)
	}
	err := explainMemlock(fmt.Errorf("failed to set memlock rlimit: %w", unix.EPERM), "")
	mustSay(t, err, "missing privileges: kernels before 5.11", "CAP_SYS_RESOURCE", "ulimit -l unlimited", "operation not permitted")
	if !errors.Is(err, ErrPrivileges) {
		t.Errorf("%v is no want of privileges", err)
	}
	mustSay(t, explainMemlock(unix.EINVAL, ""), "raise the limit of locked memory: invalid argument")
}

// In a user namespace the limit is not the cause.
func TestErrorsOfUserNamespaces(t *testing.T) {
	t.Parallel()
	err := explainMemlock(fmt.Errorf("failed to set memlock rlimit: %w", unix.EPERM), "it is in a namespace")
	if want := "missing privileges: it is in a namespace"; fmt.Sprint(err) != want || !errors.Is(err, ErrPrivileges) {
		t.Errorf("got %v, want %s", err, want)
	}
	for text, want := range map[string]bool{
		"         0          0 4294967295\n": true, "         0       1000          1\n": false, "0 0 1000\n1000 100000 4294966295\n": false, "": false,
	} {
		if got := mapsAllUsers(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
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
