// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/int80"
)

// Numbers of the calls of 32-bit programs.
const (
	execve32   = 11
	execveat32 = 358
)

// call32 makes calls as 32-bit programs do, which fail.
func (t *thread) call32(low *int80.LowMemory) {
	args := []string{"first", "two words", ""}
	argv := low.Numbers(uint32(low.Text(args[0])), uint32(low.Text(args[1])), uint32(low.Text(args[2])), 0)
	for _, c := range []struct {
		failure
		args [6]uintptr
	}{
		{failure{name: "missing", args: args, want: unix.ENOENT}, [6]uintptr{execve32, low.Text("missing"), argv}},
		{failure{name: "data", args: args, want: unix.EACCES}, [6]uintptr{execveat32, cwd, low.Text("data"), argv}},
		{failure{name: "program", badArgs: 1, want: unix.EFAULT}, [6]uintptr{execve32, low.Text("program"), 1}},
	} {
		_, errno := int80.Result(int80.Call(c.args[0], c.args[1], c.args[2], c.args[3], c.args[4], c.args[5]))
		t.list(c.failure, errno)
	}
	// For 64-bit programs, the number of one of the gadget's calls is that of another: oldolduname.
	int80.Call(unix.SYS_EXECVE, 1, 0, 0, 0, 0)
	// And the other way around: munmap.
	unix.Syscall(execve32, 1, 0, 0)
}
