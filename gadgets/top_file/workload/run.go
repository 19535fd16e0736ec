// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// files is the folder for them.
type files string

func (f files) path(name string) string { return filepath.Join(string(f), name) }

// open opens a file of the folder for a function.
func (f files) open(t *thread, name string, flags int, use func(fd int, r *Row) error) error {
	fd, err := unix.Open(f.path(name), flags|unix.O_CLOEXEC, 0o666)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	defer unix.Close(fd)
	r, err := t.row(fd, f.path(name))
	if err != nil {
		return err
	}
	return use(fd, r)
}

// On returns a call for a file, on which several kinds of calls can be made.
func reading(fd int) func([]byte) (int, error) {
	return func(p []byte) (int, error) { return unix.Read(fd, p) }
}

func writing(fd int) func([]byte) (int, error) {
	return func(p []byte) (int, error) { return unix.Write(fd, p) }
}

func readingAt(fd int, at int64) func([]byte) (int, error) {
	return func(p []byte) (int, error) { return unix.Pread(fd, p, at) }
}

func writingAt(fd int, at int64) func([]byte) (int, error) {
	return func(p []byte) (int, error) { return unix.Pwrite(fd, p, at) }
}

func (f files) readAndWrite(t *thread) error {
	return f.open(t, "written", unix.O_CREAT|unix.O_RDWR, func(fd int, r *Row) error {
		again, err := unix.Open(r.File, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(again)
		return errors.Join(
			r.write(nil, writing(fd), 10),
			r.write(nil, writing(fd), 4096),
			r.write(nil, writingAt(fd, 1000), 100_000),
			r.write(nil, writing(fd), 0),
			r.read(nil, reading(again), 5),            // another descriptor, the same file
			r.read(nil, readingAt(fd, 100_990), 4096), // less than wanted
			r.read(nil, readingAt(fd, 1<<30), 4096),   // beyond the end
		)
	})
}

func (f files) readAgain(t *thread) error {
	return f.open(t, "written", unix.O_RDONLY, func(fd int, r *Row) error {
		return r.read(nil, reading(fd), 1<<20)
	})
}

// fail makes calls that all fail, so that there is no row.
func (f files) fail(t *thread) error {
	err := f.open(t, "written", unix.O_WRONLY, func(fd int, r *Row) error {
		return errors.Join(r.read(unix.EBADF, reading(fd), 10), r.write(unix.EINVAL, writingAt(fd, -1), 10))
	})
	t.Events = nil
	return err
}

func (f files) writeOften(t *thread) error {
	return f.open(t, "often", unix.O_CREAT|unix.O_WRONLY, func(fd int, r *Row) error {
		for range 10_000 {
			if err := r.write(nil, writing(fd), 1); err != nil {
				return err
			}
		}
		return nil
	})
}

func (f files) oddNames(t *thread) error {
	for _, name := range []string{"two words", "Grüße 世界", `"quoted"\`, "line\nbreak", "\x1b[31mred"} {
		err := f.open(t, name, unix.O_CREAT|unix.O_WRONLY, func(fd int, r *Row) error { return r.write(nil, writing(fd), 3) })
		if err != nil {
			return err
		}
	}
	return nil
}

func (f files) deleted(t *thread) error {
	return f.open(t, "deleted", unix.O_CREAT|unix.O_RDWR, func(fd int, r *Row) error {
		return errors.Join(unix.Unlink(r.File), r.write(nil, writing(fd), 7), r.read(nil, readingAt(fd, 0), 100))
	})
}

func (f files) asNobody(t *thread) error {
	return f.open(t, "nobody's", unix.O_CREAT|unix.O_WRONLY, func(fd int, r *Row) error {
		if err := t.BecomeNobody(); err != nil {
			return err
		}
		r.Proc = t.Proc
		return r.write(nil, writing(fd), 9)
	})
}

// otherFiles uses a socket, a pipe, a device and files that are in no folder.
func (f files) otherFiles(t *thread) error {
	var pipe [2]int
	sockets, socketErr := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	null, nullErr := unix.Open("/dev/null", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	memory, memoryErr := unix.MemfdCreate("in memory", unix.MFD_CLOEXEC)
	if err := errors.Join(socketErr, nullErr, memoryErr, unix.Pipe2(pipe[:], unix.O_CLOEXEC)); err != nil {
		return err
	}
	defer func() {
		for _, fd := range []int{pipe[0], pipe[1], sockets[0], sockets[1], null, memory} {
			_ = unix.Close(fd)
		}
	}()
	use := func(file string, fd int, do func(*Row) error) error {
		r, err := t.row(fd, file)
		if err != nil {
			return err
		}
		return do(r)
	}
	return errors.Join(
		use("", pipe[0], func(r *Row) error { // one file with two ends
			return errors.Join(r.write(nil, writing(pipe[1]), 11), r.read(nil, reading(pipe[0]), 100))
		}),
		use("", sockets[0], func(r *Row) error { return r.write(nil, writing(sockets[0]), 12) }),
		use("", sockets[1], func(r *Row) error { return r.read(nil, reading(sockets[1]), 100) }),
		use("/dev/null", null, func(r *Row) error { return r.write(nil, writing(null), 13) }),
		use("memfd:in memory", memory, func(r *Row) error {
			return errors.Join(r.write(nil, writing(memory), 14), r.read(nil, readingAt(memory, 0), 4))
		}),
	)
}

// atOnce has threads write to one file at the same time.
func (f files) atOnce() workload.Task[Row] {
	task := onThread("write and read at once", f.writeAndRead)
	return workload.AtOnce(task, task, task, task)
}

func (f files) writeAndRead(t *thread) error {
	return f.open(t, "shared", unix.O_CREAT|unix.O_RDWR|unix.O_APPEND, func(fd int, r *Row) error {
		for n := range 1000 {
			if err := errors.Join(r.write(nil, writing(fd), n%7), r.read(nil, readingAt(fd, 0), n%5)); err != nil {
				return err
			}
		}
		return nil
	})
}
