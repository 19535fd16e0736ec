// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// thread is a thread that reads and writes.
type thread struct{ *workload.Thread[Row] }

func onThread(do func(*thread)) workload.Task[Row] {
	return workload.OnThread(comm, func(t *workload.Thread[Row]) error {
		do(&thread{t})
		return nil
	})
}

// row returns the thread's row for an open file, whose path is file.
func (t *thread) row(fd int, file string) *Row {
	var st unix.Stat_t
	workload.Check(file, unix.Fstat(fd, &st))
	var fs unix.Statfs_t
	workload.Check(file, unix.Fstatfs(fd, &fs))
	r := Row{Proc: t.Proc, Type: typeOf(st.Mode), File: file}
	if fs.Type != unix.OVERLAYFS_SUPER_MAGIC && fs.Type != unix.BTRFS_SUPER_MAGIC {
		r.ID = &ID{Inode: st.Ino, Dev: st.Dev}
	}
	t.Events = append(t.Events, r)
	return &t.Events[len(t.Events)-1]
}

// call is a system call with a buffer, bound to a file.
type call func([]byte) (int, error)

func reading(fd int) call { return func(p []byte) (int, error) { return unix.Read(fd, p) } }
func writing(fd int) call { return func(p []byte) (int, error) { return unix.Write(fd, p) } }

func readingAt(fd int, at int64) call {
	return func(p []byte) (int, error) { return unix.Pread(fd, p, at) }
}

func writingAt(fd int, at int64) call {
	return func(p []byte) (int, error) { return unix.Pwrite(fd, p, at) }
}

// read reads, and counts it.
func (r *Row) read(c call, size int) {
	n := workload.Must(c(make([]byte, size)))
	r.Reads, r.RBytes = r.Reads+1, r.RBytes+uint64(n)
}

// write is read for writing.
func (r *Row) write(c call, size int) {
	n := workload.Must(c(make([]byte, size)))
	r.Writes, r.WBytes = r.Writes+1, r.WBytes+uint64(n)
}
