// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package kerneltest

import (
	"fmt"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// NewNetwork makes a network namespace that lasts as long as the test, and returns its path. It needs root.
func NewNetwork(t testing.TB) (path string) {
	t.Helper()
	RequireRoot(t)
	made := make(chan string)
	failed := make(chan error, 1)
	end := make(chan struct{})
	t.Cleanup(func() { close(end) })
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			failed <- err
			return
		}
		made <- fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid())
		<-end
	}()
	select {
	case path = <-made:
	case err := <-failed:
		t.Fatal(err)
	}
	return path
}
