// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

const create = unix.O_CREAT | unix.O_EXCL | unix.O_RDWR

// with opens a file for f.
func (t *thread) with(name string, flags int, f func(*file)) {
	file := t.open(name, flags)
	defer file.close()
	f(file)
}

// files reads and writes.
func files(t *thread) {
	t.with("plain", create, func(f *file) {
		f.write(make([]byte, 5000), 0)
		f.write([]byte("x"), 100)
		f.write(nil, 7)
		f.write(make([]byte, 1<<20), 1<<20)
		f.read(10, 0, 10)
		f.read(1<<20, 1<<20, 1<<20)
		f.read(100, 2<<20-30, 30)
		f.read(100, 2<<20, 0)
	})
	// With O_APPEND the file system chooses the place of a write, after the gadget has seen the call.
	t.with("plain", unix.O_WRONLY|unix.O_APPEND, func(f *file) { f.wrote([]byte("end"), 5, 2<<20, 0) })
}

// syncs has the file system write to the disk.
func syncs(t *thread) {
	t.with("synced", create|unix.O_SYNC, func(f *file) {
		f.write(make([]byte, 3000), 0)
		f.write(make([]byte, 200), 5000)
		f.sync(unix.Fsync)
		f.sync(unix.Fdatasync)
		f.mapped()
	})
	t.with("synced", unix.O_WRONLY|unix.O_APPEND|unix.O_SYNC, func(f *file) { f.wrote([]byte("end"), 0, 5200, 0) })
}

// mapped writes to memory and has a part of it synced.
func (f *file) mapped() {
	const page = 4096
	data := workload.Must(unix.Mmap(f.fd, 0, 2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED))
	defer unix.Munmap(data)
	data[page] = 1
	f.t.list(opFsync, f.name, page, page, 0)
	workload.Check("sync memory", unix.Msync(data[page:], unix.MS_SYNC))
}

// failures makes calls that fail.
func failures(t *thread) {
	t.with("failing", create, func(f *file) {
		f.write(nil, 1<<62) // nothing fits everywhere
		f.wrote([]byte("far"), 1<<62, 1<<62, unix.EFBIG)
		_, _, errno := unix.Syscall6(unix.SYS_PWRITE64, uintptr(f.fd), 8, 100, 0, 0, 0) // from memory that cannot be read
		f.t.list(opWrite, f.name, 0, 0, unix.EFAULT)
		workload.Want("write from a bad address", errno, unix.EFAULT)
	})
}

// others are operations that are neither of those above.
func others(t *thread) {
	workload.Check("make a directory", unix.Mkdirat(t.root, "folder", 0o755))
	folder := workload.Must(unix.Openat(t.root, "folder", unix.O_DIRECTORY|unix.O_CLOEXEC, 0))
	dir := &file{t: t, fd: folder, name: "folder"} // not opened by the function for files
	defer dir.close()
	dir.sync(unix.Fsync)
	dir.statfs()
	(&file{t: t, fd: t.root, name: "/"}).statfs()
	t.with("deleted", create, func(f *file) {
		workload.Check("delete a file", unix.Unlinkat(t.root, f.name, 0))
		f.write([]byte("still there"), 0)
		f.statfs()
	})
}

func names(t *thread) {
	for _, name := range workload.OddNames() {
		t.with(name, create, func(f *file) { f.write([]byte(name), 0) })
	}
}

// atOnce uses several files from as many threads at the same time.
func (d *disk) atOnce() workload.Task[Event] {
	return workload.Times(4, func(i int) workload.Task[Event] {
		name := fmt.Sprintf("fs-thread-%d", i)
		return d.onThread(name, func(t *thread) { t.repeat(name, 50) })
	})
}

func (t *thread) repeat(name string, times int) {
	t.with(name, create|unix.O_SYNC, func(f *file) {
		for n := range times {
			at := int64(n * 10)
			f.write([]byte("0123456789"), at)
			f.read(100, at, 10)
		}
	})
}
