// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload reads from a block device and writes to it.
//
//	workload DIR
//
// The device is a file in DIR.
package main

import (
	"fmt"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

const (
	// comm is the name of all threads that make requests.
	comm     = "top-blockio"
	diskSize = 16 << 20
	page     = 4096
)

func main() { workload.Main(run) }

func run(dir string) error {
	backing, err := os.Create(dir + "/disk")
	if err != nil {
		return err
	}
	if err := backing.Truncate(diskSize); err != nil {
		return err
	}
	device, err := workload.AttachLoop(backing)
	if err != nil {
		return fmt.Errorf("make a block device: %w", err)
	}
	d := &disk{buffered: int(device.Fd())}
	if d.direct, err = unix.Open(device.Name(), unix.O_RDWR|unix.O_DIRECT|unix.O_CLOEXEC, 0); err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstat(d.direct, &st); err != nil {
		return err
	}
	d.major, d.minor = int(unix.Major(st.Rdev)), int(unix.Minor(st.Rdev))
	// One array, at the end of the run, about this device: the workload itself may be read from a disk meanwhile.
	args := []string{
		"--map-fetch-interval", "0", "--pid", strconv.Itoa(os.Getpid()), "--comm", comm, "--filter", fmt.Sprintf("major==%d,minor==%d", d.major, d.minor),
	}
	return workload.Cause(args, workload.InTurn(
		d.onThread(both),
		d.onThread(later),
		d.onThread(asNobody),
		d.onThread(noData),
		d.onThread(failing),
		workload.Times(4, func(i int) workload.Task[Row] { return d.onThread(func(t *thread) { many(t, i) }) }),
	))
}

// Row is a row of top_blockio, with the fields that are known in advance.
type Row struct {
	Proc  workload.Proc `json:"proc"`
	RW    string        `json:"rw"`
	Major int           `json:"major"`
	Minor int           `json:"minor"`
	Bytes int           `json:"bytes"`
	IO    int           `json:"io"`
}

// disk is the device, which is open for direct I/O and for that through memory.
type disk struct{ direct, buffered, major, minor int }

type thread struct {
	*workload.Thread[Row]
	*disk
	buffer []byte // aligned, as direct I/O wants it
}

func (d *disk) onThread(do func(*thread)) workload.Task[Row] {
	return workload.OnThread(comm, func(t *workload.Thread[Row]) error {
		do(&thread{t, d, workload.Must(unix.Mmap(-1, 0, 64<<10, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS))})
		return nil
	})
}

// list lists what the thread has read or written.
func (t *thread) list(rw string, requests, bytes int) {
	t.Events = append(t.Events, Row{Proc: t.Proc, RW: rw, Major: t.major, Minor: t.minor, Bytes: bytes, IO: requests})
}

func (t *thread) read(n int, offset int64) {
	want("read", n, workload.Must(unix.Pread(t.direct, t.buffer[:n], offset)))
}

func (t *thread) write(n int, offset int64) {
	want("write", n, workload.Must(unix.Pwrite(t.direct, t.buffer[:n], offset)))
}

func want(what string, want, got int) {
	if got != want {
		workload.Check(what, fmt.Errorf("%d bytes, want %d", got, want))
	}
}

// both reads and writes.
func both(t *thread) {
	for i := range int64(10) {
		t.read(page, i*page)
	}
	t.read(512, 0)
	t.read(16*page, 1<<20)
	t.write(page, 0)
	t.write(3*page, 1<<20)
	t.list("read", 12, 10*page+512+16*page)
	t.list("write", 2, 4*page)
}

// later writes to memory, and has the kernel write that to the device.
func later(t *thread) {
	workload.Must(unix.Pwrite(t.buffered, t.buffer[:page], 2<<20))
	workload.Check("sync", unix.Fdatasync(t.buffered))
	t.list("write", 1, page)
}

func asNobody(t *thread) {
	workload.Check("give up rights", t.BecomeNobody())
	t.read(2*page, 0)
	t.list("read", 1, 2*page)
}

// noData makes requests that read and write nothing.
func noData(t *thread) {
	span := [2]uint64{3 << 20, page}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(t.direct), unix.BLKDISCARD, uintptr(unsafe.Pointer(&span)))
	workload.Want("discard", errno, 0)
	workload.Check("sync", unix.Fsync(t.direct))
}

// failing makes calls that do not get to the device.
func failing(t *thread) {
	_, err := unix.Pread(t.direct, t.buffer[:100], 0)
	workload.Want("read less than a sector", err, unix.EINVAL)
	want("read after the end", 0, workload.Must(unix.Pread(t.direct, t.buffer[:page], diskSize)))
}

// many makes many requests, while other threads do so, too.
func many(t *thread, i int) {
	at := int64(4+2*i) << 20
	for j := range int64(200) {
		t.write(page, at+j*page)
		t.read(2*page, at+j*page)
	}
	t.list("write", 200, 200*page)
	t.list("read", 200, 400*page)
}
