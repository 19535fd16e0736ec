// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// disk is an ext4 file system. It is attached to no folder, so that other processes do not find it. It and its
// resources disappear when the last of its files is closed.
type disk struct {
	root int // descriptor of its root directory
}

// newDisk makes a disk in a file in dir.
func newDisk(dir string) (*disk, error) {
	file := filepath.Join(dir, "disk")
	if err := format(file); err != nil {
		return nil, err
	}
	device, err := attachLoop(file)
	if err != nil {
		return nil, fmt.Errorf("make a block device of %s: %w", file, err)
	}
	defer device.Close() // the file system keeps it open
	root, err := workload.MountDetached("ext4", device.Name())
	if err != nil {
		return nil, fmt.Errorf("mount %s: %w", file, err)
	}
	return &disk{root: root}, nil
}

// format makes an ext4 file system. It has no journal, which takes time.
func format(file string) error {
	const size = 16 << 20
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		return err
	}
	if err := os.Truncate(file, size); err != nil {
		return err
	}
	mkfs, err := findProgram("mkfs.ext4")
	if err != nil {
		return fmt.Errorf("%w (the package is called e2fsprogs)", err)
	}
	if out, err := exec.Command(mkfs, "-q", "-F", "-O", "^has_journal", file).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", mkfs, err, out)
	}
	return nil
}

// findProgram looks where programs for root are, too.
func findProgram(name string) (string, error) {
	path, err := exec.LookPath(name)
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if err == nil {
			break
		}
		path, err = exec.LookPath(filepath.Join(dir, name))
	}
	return path, err
}

// attachLoop makes a block device of a file, until its last user closes it.
func attachLoop(file string) (*os.File, error) {
	backing, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer backing.Close()
	control, err := openLoopControl()
	if err != nil {
		return nil, err
	}
	defer control.Close()
	for {
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, fmt.Errorf("find a free loop device: %w", err)
		}
		device, err := os.OpenFile(fmt.Sprintf("/dev/loop%d", n), os.O_RDWR, 0)
		if err != nil {
			return nil, err
		}
		config := &unix.LoopConfig{Fd: uint32(backing.Fd()), Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_AUTOCLEAR}}
		err = unix.IoctlLoopConfigure(int(device.Fd()), config)
		if err == nil {
			return device, nil
		}
		device.Close()
		if !errors.Is(err, unix.EBUSY) { // else another process was quicker
			return nil, fmt.Errorf("set up %s: %w", device.Name(), err)
		}
	}
}

func openLoopControl() (*os.File, error) {
	const path = "/dev/loop-control"
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err == nil {
		return f, nil
	}
	if modprobe, lookErr := findProgram("modprobe"); lookErr == nil {
		if out, loadErr := exec.Command(modprobe, "loop").CombinedOutput(); loadErr != nil {
			return nil, fmt.Errorf("%w; %s loop: %w: %s", err, modprobe, loadErr, out)
		}
	}
	return os.OpenFile(path, os.O_RDWR, 0)
}
