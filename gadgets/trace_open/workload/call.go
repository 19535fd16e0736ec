// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// cwd is AT_FDCWD as the kernel takes it.
const cwd = ^uintptr(99)

// call is one call that opens a file.
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

	// What it comes to: an error, or a path.
	want  unix.Errno
	fpath string
}

// do makes the call and lists its event. The file is open until the thread closes it.
func (t *thread) do(c call) (fd int, err error) {
	r, errno, err := c.make()
	if err == nil {
		err = t.list(c, r, errno)
	}
	return int(r), err
}

// list lists the event of a call that came to r or errno.
func (t *thread) list(c call, r uintptr, errno unix.Errno) error {
	if errno != c.want {
		return fmt.Errorf("open %.80q: got %q, want %q", c.name, errname(errno), errname(c.want))
	}
	e := Event{Proc: t.Proc, FlagsRaw: uint32(c.flags)}
	if c.badName == 0 {
		e.setFname(c.name)
	}
	if c.how != nil {
		e.FlagsRaw, c.mode = uint32(c.how.Flags), uint32(c.how.Mode)
	}
	if e.FlagsRaw&(unix.O_CREAT|unix.O_TMPFILE&^unix.O_DIRECTORY) != 0 {
		e.ModeRaw = c.mode & 0o7777
	}
	e.Error, e.ErrorRaw = errname(errno), uint32(errno)
	if errno == 0 {
		e.FD = uint32(r)
		e.setFpath(c.fpath)
	}
	t.Events = append(t.Events, e)
	return nil
}

// all makes calls one after the other and closes what they opened.
func (t *thread) all(calls []call) error {
	for _, c := range calls {
		fd, err := t.do(c)
		if err != nil {
			return err
		}
		if c.want == 0 {
			unix.Close(fd)
		}
	}
	return nil
}

func (c *call) make() (r uintptr, errno unix.Errno, err error) {
	name, err := unix.BytePtrFromString(c.name)
	if err != nil {
		return 0, 0, err
	}
	p := unsafe.Pointer(name)
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
	return r, errno, nil
}

func (c *call) dirArg() uintptr {
	if c.dir == 0 {
		return cwd
	}
	return c.dir
}

func errname(errno unix.Errno) string {
	if errno == 0 {
		return ""
	}
	return unix.ErrnoName(errno)
}
