// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/int80"
)

// Numbers of the calls of 32-bit programs.
const (
	open32    = 5
	creat32   = 8
	openat32  = 295
	openat232 = 437
)

// call32 opens files as 32-bit programs do.
func (f *files) call32(t *thread, low *int80.LowMemory) {
	const create = unix.O_CREAT | unix.O_WRONLY | unix.O_TRUNC
	how := low.Numbers(unix.O_CREAT|unix.O_RDWR, 0, 0o604, 0, 0, 0)
	for _, c := range []struct {
		call
		args [6]uintptr
	}{
		{call{name: "plain", flags: unix.O_RDWR, fpath: f.path("plain")}, [6]uintptr{open32, low.Text("plain"), unix.O_RDWR, 0o1234}},
		{call{name: "missing", flags: unix.O_RDONLY, want: unix.ENOENT}, [6]uintptr{open32, low.Text("missing")}},
		{call{name: "by-creat32", flags: create, mode: 0o641, fpath: f.path("by-creat32")}, [6]uintptr{creat32, low.Text("by-creat32"), 0o641}},
		{call{name: "by-openat32", flags: create, mode: 0o642, fpath: f.path("by-openat32")},
			[6]uintptr{openat32, cwd, low.Text("by-openat32"), create, 0o642}},
		{call{name: "by-openat232", flags: unix.O_CREAT | unix.O_RDWR, mode: 0o604, fpath: f.path("by-openat232")},
			[6]uintptr{openat232, cwd, low.Text("by-openat232"), how, unix.SizeofOpenHow}},
		{call{flags: unix.O_RDONLY, want: unix.EFAULT, badName: 1}, [6]uintptr{open32, 1}},
	} {
		r, errno := int80.Result(int80.Call(c.args[0], c.args[1], c.args[2], c.args[3], c.args[4], c.args[5]))
		t.list(c.call, r, errno)
		if errno == 0 {
			unix.Close(int(r))
		}
	}
	// For 64-bit programs, the number of one of the gadget's calls is that of another: remap_file_pages.
	int80.Call(unix.SYS_OPENAT, 0, 0, 0, 0, 0)
	// And the other way around: fstat, lseek, preadv.
	for _, nr := range []uintptr{open32, creat32, openat32} {
		unix.Syscall(nr, ^uintptr(0), 0, 0)
	}
}
