// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// failure is a call that fails, in the process of the workload.
type failure struct {
	name string
	args []string
	want unix.Errno

	// badName and badArgs are addresses instead of a name and of arguments.
	badName, badArgs uintptr

	// at makes it a call of execveat.
	at    bool
	dir   uintptr
	flags uintptr
}

func (t *thread) failAll(calls []failure) {
	for _, c := range calls {
		t.list(c, c.make())
	}
}

// list lists the event of a call that came to errno.
func (t *thread) list(c failure, errno unix.Errno) {
	workload.Want(fmt.Sprintf("execute %.80q", c.name), errno, c.want)
	e := t.eventOf(t.Proc)
	e.Outcome = workload.OutcomeOf(errno)
	e.Exepath = workload.CutPath(t.self)
	if c.badName == 0 {
		e.setFname(c.name)
	}
	if c.badArgs == 0 {
		e.setCallArgs(c.args)
	}
	t.Events = append(t.Events, e)
}

func (c *failure) make() unix.Errno {
	name, args := unsafe.Pointer(workload.Must(unix.BytePtrFromString(c.name))), unsafe.Pointer(&pointers(c.args)[0])
	if c.badName != 0 {
		name = nil
	}
	if c.badArgs != 0 {
		args = nil
	}
	var errno unix.Errno
	if c.at {
		_, _, errno = unix.Syscall6(unix.SYS_EXECVEAT, c.dir, uintptr(name)|c.badName, uintptr(args)|c.badArgs, 0, c.flags, 0)
	} else {
		_, _, errno = unix.Syscall(unix.SYS_EXECVE, uintptr(name)|c.badName, uintptr(args)|c.badArgs, 0)
	}
	return errno
}

func failures(f *files) []failure {
	args := []string{"name", "an argument", ""}
	return []failure{
		{name: "missing", args: args, want: unix.ENOENT},
		{name: f.path("missing/program"), args: args, want: unix.ENOENT},
		{name: "", args: args, want: unix.ENOENT},
		{name: "orphan", args: args, want: unix.ENOENT},
		{name: "program/x", args: args, want: unix.ENOTDIR},
		{name: "data", args: args, want: unix.EACCES},
		{name: ".", args: args, want: unix.EACCES},
		{name: "garbage", args: args, want: unix.ENOEXEC},
		{name: "loop", args: args, want: unix.ELOOP},
		{name: strings.Repeat("n", 256), args: args, want: unix.ENAMETOOLONG},
		{name: workload.Padded("missing", roomFname-1), args: args, want: unix.ENOENT},
		{name: workload.Padded("missing", roomFname), args: args, want: unix.ENOENT},
		{badName: 1, args: args, want: unix.EFAULT},
		{name: "program", badArgs: 1, want: unix.EFAULT},
		{name: "missing", want: unix.ENOENT},
		{name: "program", args: []string{strings.Repeat("a", 200_000)}, want: unix.E2BIG},
		{name: "missing", args: []string{strings.Repeat("a", roomArgs-1)}, want: unix.ENOENT},
		{name: "missing", args: []string{"b", strings.Repeat("a", roomArgs-3)}, want: unix.ENOENT},
		{name: "missing", args: []string{"b", strings.Repeat("a", roomArgs-3), "c"}, want: unix.ENOENT},
		{name: "missing", args: []string{"b", strings.Repeat("a", roomArgs-2), "c"}, want: unix.ENOENT},
		{name: "missing", args: many(maxArgs), want: unix.ENOENT},
		{name: "missing", args: many(maxArgs + 1), want: unix.ENOENT},
		{at: true, dir: cwd, name: "missing", args: args, want: unix.ENOENT},
		{at: true, dir: 1 << 30, name: "program", args: args, want: unix.EBADF},
		{at: true, dir: cwd, name: "program", args: args, flags: 1, want: unix.EINVAL},
		{at: true, dir: cwd, name: "link", args: args, flags: unix.AT_SYMLINK_NOFOLLOW, want: unix.ELOOP},
	}
}
