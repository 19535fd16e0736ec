// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// file is an open file whose operations are listed.
type file struct {
	t      *thread
	fd     int
	name   string
	synced bool // each write is followed by an fsync of the written bytes
}

// open opens a file of the file system.
func (t *thread) open(name string, flags int) *file {
	fd, err := unix.Openat(t.root, name, flags|unix.O_CLOEXEC, 0o600)
	workload.Check("open a file", err)
	t.list(opOpen, name, 0, 0, 0)
	return &file{t, fd, name, flags&unix.O_SYNC == unix.O_SYNC}
}

func (f *file) close() { unix.Close(f.fd) }

// write writes at an offset; if the file is open for appending, the offset is of no account.
func (f *file) write(data []byte, offset int64) { f.wrote(data, offset, offset, 0) }

// wrote is like write, but the data ends up elsewhere, or the call fails.
func (f *file) wrote(data []byte, offset, end int64, want unix.Errno) {
	n, err := unix.Pwrite(f.fd, data, offset)
	workload.Want("write "+f.name, err, want)
	if f.synced {
		f.t.list(opFsync, f.name, end, n, 0)
	}
	f.t.list(opWrite, f.name, offset, max(n, 0), want)
}

// read reads n bytes of size that it asks for.
func (f *file) read(size int, offset int64, n int) {
	got := workload.Must(unix.Pread(f.fd, make([]byte, size), offset))
	if got != n {
		workload.Check("read "+f.name, fmt.Errorf("got %d bytes, want %d", got, n))
	}
	f.t.list(opRead, f.name, offset, n, 0)
}

// sync syncs with one of the functions that sync a whole file.
func (f *file) sync(call func(fd int) error) {
	f.t.list(opFsync, f.name, 0, 0, 0)
	workload.Check("sync "+f.name, call(f.fd))
}

func (f *file) statfs() {
	f.t.list(opStatfs, f.name, 0, 0, 0)
	workload.Check("describe the file system", unix.Fstatfs(f.fd, new(unix.Statfs_t)))
}
