// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package kerneltest

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// HasEnded reports whether a process has ended, whether or not its parent has waited for it.
func HasEnded(t testing.TB, pid string) bool {
	t.Helper()
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return true
	}
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Contains(stat, []byte(") Z "))
}

// FilterCalls makes seccomp run the filter for the system calls of this thread, and of threads and processes that it starts
// later. That cannot be undone: the caller must lock the goroutine to the thread, and never unlock it.
func FilterCalls(t testing.TB, filter []unix.SockFilter) {
	t.Helper()
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0); err != nil {
		t.Fatal(err)
	}
}
