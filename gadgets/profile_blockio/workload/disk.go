// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// Requests of the kernel's include/uapi/linux/fs.h.
const (
	fiFreeze = 0xc0045877
	fiThaw   = 0xc0045878
)

// heldDisk is a block device that completes its requests only when the workload lets it: it is a file on a file system that can be frozen.
// What is written to the device then waits for the file system, and everything after the first write waits for that.
type heldDisk struct {
	device *os.File // for direct I/O
	root   *os.File // of the file system
	thaw   *exec.Cmd
	pipe   io.Closer
}

// thawArgument makes a process that only thaws.
const thawArgument = "thaw-at-the-end-of-the-input"

// atMost is how long a file system is frozen.
const atMost = 20 * time.Second

// thawIfAsked does not return in the process that thaws the file system: when the workload says so, when it has ended, or after some time.
// A process whose threads wait for a disk does not end, and a file system that stays frozen would hold its devices for ever.
func thawIfAsked() {
	if len(os.Args) != 2 || os.Args[1] != thawArgument {
		return
	}
	over := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(over)
	}()
	select {
	case <-over:
	case <-time.After(atMost):
	}
	_ = unix.IoctlSetInt(3, fiThaw, 0) // fails if it is not frozen
	os.Exit(0)
}

// newHeldDisk makes a device of so many bytes with files in dir. It goes with the process.
func newHeldDisk(dir string, size int64) (*heldDisk, error) {
	outer := dir + "/file-system"
	if err := workload.MakeExt4(outer, size+16<<20); err != nil {
		return nil, err
	}
	h := &heldDisk{}
	return h, h.open(outer, size)
}

func (h *heldDisk) open(outer string, size int64) error {
	file, err := os.OpenFile(outer, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	below, err := workload.AttachLoop(file)
	if err != nil {
		return err
	}
	defer below.Close() // the file system keeps it open
	mount, err := workload.MountDetached("ext4", below.Name())
	if err != nil {
		return err
	}
	defer unix.Close(mount)
	root, err := unix.Openat(mount, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	h.root = os.NewFile(uintptr(root), "root")
	fd, err := unix.Openat(root, "disk", unix.O_CREAT|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	inner := os.NewFile(uintptr(fd), "disk")
	defer inner.Close()
	if err := inner.Truncate(size); err != nil {
		return err
	}
	device, err := workload.AttachLoop(inner)
	if err != nil {
		return err
	}
	defer device.Close()
	h.device, err = os.OpenFile(device.Name(), os.O_RDWR|unix.O_DIRECT, 0)
	return err
}

// hold makes requests wait, until release.
func (h *heldDisk) hold() error {
	h.thaw = exec.Command("/proc/self/exe", thawArgument)
	h.thaw.ExtraFiles = []*os.File{h.root}
	pipe, err := h.thaw.StdinPipe()
	if err == nil {
		err = h.thaw.Start()
	}
	if err != nil {
		return err
	}
	h.pipe = pipe
	if err := unix.IoctlSetInt(int(h.root.Fd()), fiFreeze, 0); err != nil {
		return errors.Join(fmt.Errorf("freeze a file system: %w", err), h.release())
	}
	return nil
}

// release lets the requests go on.
func (h *heldDisk) release() error { return errors.Join(h.pipe.Close(), h.thaw.Wait()) }
