// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// thread is one that reads and writes.
type thread struct{ *workload.Thread[Row] }

// onThread has one say in errors what it does, since all have one name.
func onThread(what string, do func(*thread) error) workload.Task[Row] {
	return workload.OnThread(comm, func(t *workload.Thread[Row]) error {
		if err := do(&thread{t}); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	})
}

// row returns the thread's row for an open file, whose path is file.
func (t *thread) row(fd int, file string) (*Row, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	r := Row{Proc: t.Proc, Type: typeOf(st.Mode), File: file}
	if fs.Type != unix.OVERLAYFS_SUPER_MAGIC && fs.Type != unix.BTRFS_SUPER_MAGIC {
		r.ID = &ID{Inode: st.Ino, Dev: st.Dev}
	}
	t.Events = append(t.Events, r)
	return &t.Events[len(t.Events)-1], nil
}

// read reads with a call that is given a buffer, and counts it unless it fails with want.
func (r *Row) read(want error, call func([]byte) (int, error), size int) error {
	n, err := call(make([]byte, size))
	if !errors.Is(err, want) {
		return fmt.Errorf("read %s: %d bytes, %w; want %w", r.File, n, err, want)
	}
	if err == nil {
		r.Reads, r.RBytes = r.Reads+1, r.RBytes+uint64(n)
	}
	return nil
}

// write is read for writing.
func (r *Row) write(want error, call func([]byte) (int, error), size int) error {
	n, err := call(make([]byte, size))
	if !errors.Is(err, want) {
		return fmt.Errorf("write %s: %d bytes, %w; want %w", r.File, n, err, want)
	}
	if err == nil {
		r.Writes, r.WBytes = r.Writes+1, r.WBytes+uint64(n)
	}
	return nil
}
