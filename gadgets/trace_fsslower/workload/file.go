// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// file is an open file whose operations are listed.
type file struct {
	t      *thread
	fd     int
	name   string
	synced bool // each write is followed by an fsync of what was written
}

// open opens a file of the file system.
func (t *thread) open(name string, flags int) (*file, error) {
	fd, err := unix.Openat(t.root, name, flags|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open %q: %w", name, err)
	}
	t.list(opOpen, name, 0, 0, 0)
	return &file{t, fd, name, flags&unix.O_SYNC == unix.O_SYNC}, nil
}

func (f *file) close() { unix.Close(f.fd) }

// write writes at an offset; if the file is open for appending, the offset is of no account.
func (f *file) write(data []byte, offset int64) error {
	return f.wrote(data, offset, offset, 0)
}

// wrote is like write, but the data ends up elsewhere, or the call fails.
func (f *file) wrote(data []byte, offset, end int64, want unix.Errno) error {
	n, err := unix.Pwrite(f.fd, data, offset)
	if err := f.check("write", err, want); err != nil {
		return err
	}
	if f.synced {
		f.t.list(opFsync, f.name, end, n, 0)
	}
	f.t.list(opWrite, f.name, offset, max(n, 0), want)
	return nil
}

// read reads n bytes of size that it asks for.
func (f *file) read(size int, offset int64, n int) error {
	return f.readInto(make([]byte, size), offset, n)
}

func (f *file) readInto(data []byte, offset int64, want int) error {
	n, err := unix.Pread(f.fd, data, offset)
	if err != nil || n != want {
		return fmt.Errorf("read %q: got %d, %w, want %d", f.name, n, err, want)
	}
	f.t.list(opRead, f.name, offset, n, 0)
	return nil
}

// sync syncs with one of the functions that sync all of a file.
func (f *file) sync(call func(fd int) error) error {
	f.t.list(opFsync, f.name, 0, 0, 0)
	return call(f.fd)
}

func (f *file) statfs() error {
	f.t.list(opStatfs, f.name, 0, 0, 0)
	return unix.Fstatfs(f.fd, new(unix.Statfs_t))
}

func (f *file) check(what string, got error, want unix.Errno) error {
	if want == 0 && got == nil || want != 0 && errors.Is(got, want) {
		return nil
	}
	return fmt.Errorf("%s %q: got %w, want %q", what, f.name, got, unix.ErrnoName(want))
}
