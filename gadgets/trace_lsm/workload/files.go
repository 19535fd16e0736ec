// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// prepare makes files, changes to their directory, and returns the process. The directory is a separate file
// system, in memory and attached to no folder: on a file system that passes requests on to another, as
// overlay does, the kernel calls most hooks twice.
func prepare() process {
	root, err := workload.MountDetached("tmpfs", "")
	workload.Check("make a file system", err)
	defer unix.Close(root)
	workload.Check("change to a folder", unix.Fchdir(root))
	workload.Check("make a file", os.WriteFile("plain", nil, 0o600))
	workload.Check("make a file", os.WriteFile("garbage", []byte("no program\n"), 0o700))
	return process{comm: workload.Must(workload.Self()).Comm}
}
