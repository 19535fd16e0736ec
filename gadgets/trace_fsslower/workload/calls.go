// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

const create = unix.O_CREAT | unix.O_EXCL | unix.O_RDWR

// Names that need care on the way to a terminal or into JSON, and the longest.
var oddNames = []string{
	"two words", "Grüße-世界-🗂", "\x1b[31mred\x1b[0m\x07", "line\nbreak\ttab", `quote"back\slash`, "not\xffutf\xfe8",
	strings.Repeat("n", 255),
}

// with opens a file for f.
func (t *thread) with(name string, flags int, f func(*file) error) error {
	file, err := t.open(name, flags)
	if err != nil {
		return err
	}
	defer file.close()
	return f(file)
}

// files reads and writes.
func files(t *thread) error {
	err := t.with("plain", create, func(f *file) error {
		return errors.Join(
			f.write(make([]byte, 5000), 0),
			f.write([]byte("x"), 100),
			f.write(nil, 7),
			f.write(make([]byte, 1<<20), 1<<20),
			f.read(10, 0, 10),
			f.read(1<<20, 1<<20, 1<<20),
			f.read(100, 2<<20-30, 30),
			f.read(100, 2<<20, 0),
		)
	})
	if err != nil {
		return err
	}
	// What a call writes is placed by the file system, which the call comes to first.
	return t.with("plain", unix.O_WRONLY|unix.O_APPEND, func(f *file) error { return f.wrote([]byte("end"), 5, 2<<20, 0) })
}

// syncs has the file system write to the disk.
func syncs(t *thread) error {
	err := t.with("synced", create|unix.O_SYNC, func(f *file) error {
		return errors.Join(
			f.write(make([]byte, 3000), 0),
			f.write(make([]byte, 200), 5000),
			f.sync(unix.Fsync),
			f.sync(unix.Fdatasync),
			f.mapped(),
		)
	})
	if err != nil {
		return err
	}
	return t.with("synced", unix.O_WRONLY|unix.O_APPEND|unix.O_SYNC, func(f *file) error { return f.wrote([]byte("end"), 0, 5200, 0) })
}

// mapped writes to memory and has a part of it synced.
func (f *file) mapped() error {
	const page = 4096
	data, err := unix.Mmap(f.fd, 0, 2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	defer unix.Munmap(data)
	data[page] = 1
	f.t.list(opFsync, f.name, page, page, 0)
	return unix.Msync(data[page:], unix.MS_SYNC)
}

// failures asks for what is not possible.
func failures(t *thread) error {
	return t.with("failing", create, func(f *file) error {
		return errors.Join(
			f.write(nil, 1<<62), // nothing fits everywhere
			f.wrote([]byte("far"), 1<<62, 1<<62, unix.EFBIG),
			f.badAddress(),
		)
	})
}

// badAddress writes what cannot be read.
func (f *file) badAddress() error {
	_, _, errno := unix.Syscall6(unix.SYS_PWRITE64, uintptr(f.fd), 8, 100, 0, 0, 0)
	f.t.list(opWrite, f.name, 0, 0, unix.EFAULT)
	return f.check("write", errno, unix.EFAULT)
}

// others are operations that are neither of those above.
func others(t *thread) error {
	if err := unix.Mkdirat(t.root, "folder", 0o755); err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	folder, err := unix.Openat(t.root, "folder", unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open a directory: %w", err)
	}
	dir := &file{t: t, fd: folder, name: "folder"} // not opened by the function for files
	defer dir.close()
	top := &file{t: t, fd: t.root, name: "/"}
	if err := errors.Join(dir.sync(unix.Fsync), dir.statfs(), top.statfs()); err != nil {
		return err
	}
	return t.with("deleted", create, func(f *file) error {
		if err := unix.Unlinkat(t.root, f.name, 0); err != nil {
			return err
		}
		return errors.Join(f.write([]byte("still there"), 0), f.statfs())
	})
}

func names(t *thread) error {
	for _, name := range oddNames {
		if err := t.with(name, create, func(f *file) error { return f.write([]byte(name), 0) }); err != nil {
			return err
		}
	}
	return nil
}

// atOnce uses several files from as many threads at the same time.
func (d *disk) atOnce() workload.Task[Event] {
	var tasks []workload.Task[Event]
	for i := range 4 {
		name := fmt.Sprintf("fs-thread-%d", i)
		tasks = append(tasks, d.onThread(name, func(t *thread) error { return t.repeat(name, 50) }))
	}
	return workload.AtOnce(tasks...)
}

func (t *thread) repeat(name string, times int) error {
	return t.with(name, create|unix.O_SYNC, func(f *file) error {
		for n := range times {
			at := int64(n * 10)
			if err := errors.Join(f.write([]byte("0123456789"), at), f.read(100, at, 10)); err != nil {
				return err
			}
		}
		return nil
	})
}
