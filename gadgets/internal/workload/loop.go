// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// FindProgram looks where programs for root are, too.
func FindProgram(name string) (string, error) {
	path, err := exec.LookPath(name)
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if err == nil {
			break
		}
		path, err = exec.LookPath(filepath.Join(dir, name))
	}
	return path, err
}

// MakeExt4 makes a file with an ext4 file system of so many bytes. It has no journal, which takes time.
func MakeExt4(file string, size int64) error {
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		return err
	}
	if err := os.Truncate(file, size); err != nil {
		return err
	}
	mkfs, err := FindProgram("mkfs.ext4")
	if err != nil {
		return fmt.Errorf("%w (the package is called e2fsprogs)", err)
	}
	if out, err := exec.Command(mkfs, "-q", "-F", "-O", "^has_journal", file).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", mkfs, err, out)
	}
	return nil
}

// AttachLoop makes a block device of an open file, until the last user of the device closes it.
func AttachLoop(backing *os.File) (*os.File, error) {
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
	if modprobe, lookErr := FindProgram("modprobe"); lookErr == nil {
		if out, loadErr := exec.Command(modprobe, "loop").CombinedOutput(); loadErr != nil {
			return nil, fmt.Errorf("%w; %s loop: %w: %s", err, modprobe, loadErr, out)
		}
	}
	return os.OpenFile(path, os.O_RDWR, 0)
}
