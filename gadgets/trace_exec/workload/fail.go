// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
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

func (t *thread) failAll(calls []failure) error {
	for _, c := range calls {
		if err := t.fail(c); err != nil {
			return err
		}
	}
	return nil
}

// fail makes a call.
func (t *thread) fail(c failure) error {
	errno, err := c.make()
	if err != nil {
		return err
	}
	return t.list(c, errno)
}

// list lists the event of a call that came to errno.
func (t *thread) list(c failure, errno unix.Errno) error {
	if errno != c.want {
		return fmt.Errorf("execute %.80q: got %q, want %q", c.name, unix.ErrnoName(errno), unix.ErrnoName(c.want))
	}
	e := t.eventOf(t.Proc)
	e.Error, e.ErrorRaw = unix.ErrnoName(errno), uint32(errno)
	e.Exepath = cutPath(t.self)
	if c.badName == 0 {
		e.setFname(c.name)
	}
	if c.badArgs == 0 {
		e.setCallArgs(c.args)
	}
	t.Events = append(t.Events, e)
	return nil
}

func (c *failure) make() (unix.Errno, error) {
	path, err := unix.BytePtrFromString(c.name)
	if err != nil {
		return 0, err
	}
	argv, err := pointers(c.args)
	if err != nil {
		return 0, err
	}
	name, args := unsafe.Pointer(path), unsafe.Pointer(&argv[0])
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
	return errno, nil
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
		{name: padded("missing", roomFname-1), args: args, want: unix.ENOENT},
		{name: padded("missing", roomFname), args: args, want: unix.ENOENT},
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
