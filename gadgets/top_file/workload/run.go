// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// files is the folder for them.
type files string

func (f files) path(name string) string { return filepath.Join(string(f), name) }

// open opens a file of the folder for a function.
func (f files) open(t *thread, name string, flags int, use func(fd int, r *Row)) {
	fd := workload.Must(unix.Open(f.path(name), flags|unix.O_CLOEXEC, 0o666))
	defer unix.Close(fd)
	use(fd, t.row(fd, f.path(name)))
}

func (f files) readAndWrite(t *thread) {
	f.open(t, "written", unix.O_CREAT|unix.O_RDWR, func(fd int, r *Row) {
		again := workload.Must(unix.Open(r.File, unix.O_RDONLY|unix.O_CLOEXEC, 0))
		defer unix.Close(again)
		r.write(writing(fd), 10)
		r.write(writing(fd), 4096)
		r.write(writingAt(fd, 1000), 100_000)
		r.write(writing(fd), 0)
		r.read(reading(again), 5)            // another descriptor, the same file
		r.read(readingAt(fd, 100_990), 4096) // less than wanted
		r.read(readingAt(fd, 1<<30), 4096)   // beyond the end
	})
}

func (f files) readAgain(t *thread) {
	f.open(t, "written", unix.O_RDONLY, func(fd int, r *Row) { r.read(reading(fd), 1<<20) })
}

// fail makes calls that all fail, so that there is no row.
func (f files) fail(t *thread) {
	f.open(t, "written", unix.O_WRONLY, func(fd int, _ *Row) {
		_, err := unix.Read(fd, make([]byte, 10))
		workload.Want("read what is open for writing", err, unix.EBADF)
		_, err = unix.Pwrite(fd, make([]byte, 10), -1)
		workload.Want("write before the beginning", err, unix.EINVAL)
	})
	t.Events = nil
}

func (f files) writeOften(t *thread) {
	f.open(t, "often", unix.O_CREAT|unix.O_WRONLY, func(fd int, r *Row) {
		for range 10_000 {
			r.write(writing(fd), 1)
		}
	})
}

func (f files) oddNames(t *thread) {
	for _, name := range workload.OddNames() {
		f.open(t, name, unix.O_CREAT|unix.O_WRONLY, func(fd int, r *Row) { r.write(writing(fd), 3) })
	}
}

func (f files) deleted(t *thread) {
	f.open(t, "deleted", unix.O_CREAT|unix.O_RDWR, func(fd int, r *Row) {
		workload.Check("delete a file", unix.Unlink(r.File))
		r.write(writing(fd), 7)
		r.read(readingAt(fd, 0), 100)
	})
}

func (f files) asNobody(t *thread) {
	f.open(t, "nobody's", unix.O_CREAT|unix.O_WRONLY, func(fd int, r *Row) {
		workload.Check("give up rights", t.BecomeNobody())
		r.Proc = t.Proc
		r.write(writing(fd), 9)
	})
}

// otherFiles uses a socket, a pipe, a device and files that are in no folder.
func (f files) otherFiles(t *thread) {
	var pipe [2]int
	workload.Check("make a pipe", unix.Pipe2(pipe[:], unix.O_CLOEXEC))
	sockets := workload.Must(unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0))
	null := workload.Must(unix.Open("/dev/null", unix.O_WRONLY|unix.O_CLOEXEC, 0))
	memory := workload.Must(unix.MemfdCreate("in memory", unix.MFD_CLOEXEC))
	defer func() {
		for _, fd := range []int{pipe[0], pipe[1], sockets[0], sockets[1], null, memory} {
			_ = unix.Close(fd)
		}
	}()
	r := t.row(pipe[0], "") // one file with two ends
	r.write(writing(pipe[1]), 11)
	r.read(reading(pipe[0]), 100)
	t.row(sockets[0], "").write(writing(sockets[0]), 12)
	t.row(sockets[1], "").read(reading(sockets[1]), 100)
	t.row(null, "/dev/null").write(writing(null), 13)
	r = t.row(memory, "memfd:in memory")
	r.write(writing(memory), 14)
	r.read(readingAt(memory, 0), 4)
}

// writeAndRead is for threads that use one file at the same time.
func (f files) writeAndRead(t *thread) {
	f.open(t, "shared", unix.O_CREAT|unix.O_RDWR|unix.O_APPEND, func(fd int, r *Row) {
		for n := range 1000 {
			r.write(writing(fd), n%7)
			r.read(readingAt(fd, 0), n%5)
		}
	})
}
