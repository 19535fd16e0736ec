// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// prepare makes files, changes to their directory, and returns the process. The directory is a file
// system of its own, in memory and mounted nowhere: on one that passes requests on to another, as
// overlay does, most hooks are called twice.
func prepare() (process, error) {
	root, err := mountMemory()
	if err != nil {
		return process{}, fmt.Errorf("make a file system: %w", err)
	}
	defer unix.Close(root)
	self, err := workload.Self()
	return process{comm: self.Comm}, errors.Join(err,
		unix.Fchdir(root),
		os.WriteFile("plain", nil, 0o600),
		os.WriteFile("garbage", []byte("no program\n"), 0o700),
	)
}

func mountMemory() (root int, err error) {
	fs, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, err
	}
	return unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
}
