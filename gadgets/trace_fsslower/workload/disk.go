// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// disk is an ext4 file system. It is attached to no folder, so that other processes do not find it. It and its
// resources disappear when the last of its files is closed.
type disk struct {
	root int // descriptor of its root directory
}

// newDisk makes a disk in a file in dir.
func newDisk(dir string) (*disk, error) {
	const size = 16 << 20
	file := filepath.Join(dir, "disk")
	if err := workload.MakeExt4(file, size); err != nil {
		return nil, err
	}
	backing, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer backing.Close()
	device, err := workload.AttachLoop(backing)
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
