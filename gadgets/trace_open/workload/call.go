// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// cwd is AT_FDCWD as the kernel takes it.
const cwd = ^uintptr(99)

// call is a call that opens a file.
type call struct {
	// number is the system call's; 0 means openat.
	number uintptr
	// dir is the first argument of openat and openat2; 0 means AT_FDCWD.
	dir   uintptr
	name  string
	flags int
	mode  uint32
	// how replaces flags and mode for openat2, with its size.
	how     *unix.OpenHow
	howSize uintptr
	// badName is an address instead of a name.
	badName uintptr

	// The result: an error, or a path.
	want  unix.Errno
	fpath string
}

// do makes the call and lists its event. The file is open until the thread closes it.
func (t *thread) do(c call) (fd int) {
	r, errno := c.make()
	t.list(c, r, errno)
	return int(r)
}

// list lists the event of a call that came to r or errno.
func (t *thread) list(c call, r uintptr, errno unix.Errno) {
	workload.Want(fmt.Sprintf("open %.80q", c.name), errno, c.want)
	e := Event{Proc: t.Proc, Outcome: workload.OutcomeOf(errno), FlagsRaw: uint32(c.flags)}
	if c.badName == 0 {
		e.setFname(c.name)
	}
	if c.how != nil {
		e.FlagsRaw, c.mode = uint32(c.how.Flags), uint32(c.how.Mode)
	}
	if e.FlagsRaw&(unix.O_CREAT|unix.O_TMPFILE&^unix.O_DIRECTORY) != 0 {
		e.ModeRaw = c.mode & 0o7777
	}
	if errno == 0 {
		e.FD = uint32(r)
		e.Fpath = workload.CutPath(c.fpath)
		e.FpathTruncated = e.Fpath != c.fpath
	}
	t.Events = append(t.Events, e)
}

// all makes calls one after the other and closes the files that they opened.
func (t *thread) all(calls []call) {
	for _, c := range calls {
		if fd := t.do(c); c.want == 0 {
			unix.Close(fd)
		}
	}
}

func (c *call) make() (r uintptr, errno unix.Errno) {
	p := unsafe.Pointer(workload.Must(unix.BytePtrFromString(c.name)))
	if c.badName != 0 {
		p = nil
	}
	switch c.number {
	case 0, unix.SYS_OPENAT:
		r, _, errno = unix.Syscall6(unix.SYS_OPENAT, c.dirArg(), uintptr(p)|c.badName, uintptr(c.flags), uintptr(c.mode), 0, 0)
	case unix.SYS_OPENAT2:
		r, _, errno = unix.Syscall6(unix.SYS_OPENAT2, c.dirArg(), uintptr(p)|c.badName, uintptr(unsafe.Pointer(c.how)), c.howSize, 0, 0)
	default:
		r, errno = c.makeOld(p)
	}
	return r, errno
}

func (c *call) dirArg() uintptr {
	if c.dir == 0 {
		return cwd
	}
	return c.dir
}
