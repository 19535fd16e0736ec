// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// makeOld makes the calls that only old architectures have.
func (c *call) makeOld(name unsafe.Pointer) (uintptr, unix.Errno) {
	var r uintptr
	var errno unix.Errno
	if c.number == unix.SYS_CREAT {
		r, _, errno = unix.Syscall(unix.SYS_CREAT, uintptr(name), uintptr(c.mode), 0)
	} else {
		r, _, errno = unix.Syscall(unix.SYS_OPEN, uintptr(name)|c.badName, uintptr(c.flags), uintptr(c.mode))
	}
	return r, errno
}

// oldCalls are calls of open and creat.
func (f *files) oldCalls() []call {
	const create = unix.O_CREAT | unix.O_WRONLY | unix.O_TRUNC
	return []call{
		{number: unix.SYS_OPEN, name: "plain", flags: unix.O_RDONLY, mode: 0o1234, fpath: f.path("plain")},
		{number: unix.SYS_OPEN, name: f.path("plain"), flags: unix.O_RDWR | unix.O_CLOEXEC, fpath: f.path("plain")},
		{number: unix.SYS_OPEN, name: "by-open", flags: unix.O_CREAT | unix.O_RDWR, mode: 0o4755, fpath: f.path("by-open")},
		{number: unix.SYS_OPEN, name: "missing", want: unix.ENOENT},
		{number: unix.SYS_OPEN, badName: 1, want: unix.EFAULT},
		{number: unix.SYS_CREAT, name: "by-creat", flags: create, mode: 0o640, fpath: f.path("by-creat")},
		{number: unix.SYS_CREAT, name: "folder", flags: create, mode: 0o640, want: unix.EISDIR},
	}
}
