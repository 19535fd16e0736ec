// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload makes requests to a block device that takes a known time for them.
//
//	workload DIR
//
// The device is a file in DIR. The workload holds the requests until all have begun, and then for a time; so each takes at least as
// long, and less than twice as long.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

const (
	diskSize = 8 << 20
	block    = 4096
	// Of slot 21: from 2^20 µs up to 2^21.
	holding = 1100 * time.Millisecond
	slot    = 21
)

// How many requests there are of each kind.
const (
	writes   = 7
	reads    = 5
	discards = 1 // the kernel makes them one after the other
)

func main() {
	thawIfAsked()
	workload.Main(run)
}

func run(dir string) error {
	disk, err := newHeldDisk(dir, diskSize)
	if err != nil {
		return err
	}
	name := filepath.Base(disk.device.Name())
	args := []string{"--map-fetch-interval", "0", "--per-disk", "--per-flag", "--dev", name}
	return workload.Cause(args, func() ([]Row, error) { return requests(disk, name) })
}

// Row is a row of profile_blockio, with the fields that are known in advance.
type Row struct {
	Dev       uint32     `json:"dev"`
	Disk      string     `json:"disk"`
	Operation string     `json:"operation,omitempty"`
	Latency   [27]uint32 `json:"latency"`
}

func requests(disk *heldDisk, name string) ([]Row, error) {
	var st unix.Stat_t
	workload.Check("stat", unix.Fstat(int(disk.device.Fd()), &st))
	minor := unix.Minor(st.Rdev)
	row := func(operation string, n uint32) Row {
		r := Row{Dev: unix.Major(st.Rdev)<<20 | minor, Disk: name, Operation: operation}
		r.Latency[slot] = n
		return r
	}
	workload.Check("hold the disk", disk.hold())
	done := make(chan error)
	next := int64(0)
	// Each request has its own thread, and is apart from the one before, so that the kernel does not merge them.
	begin := func(n int, do func(offset int64) error) {
		for range n {
			offset := next * 2 * block
			next++
			go func() { done <- do(offset) }()
		}
	}
	fd := int(disk.device.Fd())
	// The first write holds all that comes after it.
	begin(1, func(offset int64) error { return whole(unix.Pwrite(fd, buffer(), offset)) })
	err := wait(name, 1)
	begin(writes-1, func(offset int64) error { return whole(unix.Pwrite(fd, buffer(), offset)) })
	begin(reads, func(offset int64) error { return whole(unix.Pread(fd, buffer(), offset)) })
	begin(discards, func(offset int64) error { return discard(fd, offset) })
	err = errors.Join(err, wait(name, writes+reads+discards))
	time.Sleep(holding)
	err = errors.Join(err, disk.release())
	for range writes + reads + discards {
		err = errors.Join(err, <-done)
	}
	// It depends on the kernel which flags a read has.
	return []Row{row("write|sync|idle", writes), row("", reads), row("discard|sync", discards)}, err
}

// buffer is memory for a request. It is aligned, as direct I/O wants it.
func buffer() []byte {
	return workload.Must(unix.Mmap(-1, 0, block, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS))
}

func whole(n int, err error) error {
	if err == nil && n != block {
		err = fmt.Errorf("%d bytes of %d", n, block)
	}
	return err
}

func discard(fd int, offset int64) error {
	span := [2]uint64{uint64(offset), block}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.BLKDISCARD, uintptr(unsafe.Pointer(&span)))
	if errno != 0 {
		return fmt.Errorf("discard: %w", errno)
	}
	return nil
}

// wait waits until the disk has so many requests.
func wait(disk string, want int) error {
	for range 5000 {
		var reading, writing int
		text, err := os.ReadFile("/sys/block/" + disk + "/inflight")
		if err != nil {
			return err
		}
		if _, err := fmt.Sscan(string(text), &reading, &writing); err != nil {
			return fmt.Errorf("count requests: %w", err)
		}
		if reading+writing >= want {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
	return fmt.Errorf("the disk does not get %d requests", want)
}
