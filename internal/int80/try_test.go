// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build amd64

package int80

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// auditArchI386 is the architecture of calls that filters see.
const auditArchI386 = 0x40000003

// refuse makes the kernel treat calls of 32-bit programs by this thread and its children as a kernel
// without support for them does.
func refuse(t *testing.T, action uint32) {
	t.Helper()
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 4}, // the architecture
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: auditArchI386, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: action},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	kerneltest.FilterCalls(t, filter)
}

// Whatever a kernel without support for the calls does, this process goes on and gets an error.
func TestTryWhereCallsAreRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		action uint32
		want   string
	}{
		"killed":     {unix.SECCOMP_RET_KILL_PROCESS, "SIGSYS kills the caller"},
		"a signal":   {unix.SECCOMP_RET_TRAP, "SIGSYS kills the caller"},
		"an error":   {unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS), "such a call does not do what it should"},
		"no process": {unix.SECCOMP_RET_KILL_THREAD, "SIGSYS kills the caller"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runtime.LockOSThread() // never unlocked: the filter ends with the thread
			refuse(t, test.action)
			err := try()
			if err == nil {
				t.Error("calls that are refused look as if the kernel takes them")
			} else if Available() == nil && err.Error() != test.want { // else the machine's own way comes first
				t.Errorf("got %q, want %q", err, test.want)
			}
		})
	}
}

// The process that tries sends no signal when it ends.
func TestTryLeavesNothing(t *testing.T) {
	first := try()
	for range 20 {
		if again := try(); (again == nil) != (first == nil) {
			t.Errorf("got %v, and then %v", first, again)
		}
	}
	if pid, err := unix.Wait4(-1, nil, unix.WALL|unix.WNOHANG, nil); err != unix.ECHILD {
		t.Errorf("a child is left: %d, %v", pid, err)
	}
}
