// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload works with the files of an ext4 file system in all the ways that
// trace_fsslower distinguishes. With --min 0, all operations are slow.
//
//	workload DIR
//
// DIR is a folder for the file that holds the file system.
package main

import (
	"fmt"
	"os"
	"strconv"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

func main() { workload.Main(run) }

func run(dir string) error {
	d, err := newDisk(dir)
	if err != nil {
		return fmt.Errorf("make a file system: %w", err)
	}
	return workload.Cause([]string{"--filesystem", "ext4", "--min", "0", "--pid", strconv.Itoa(os.Getpid())}, workload.InTurn(
		d.onThread("fs-files", files),
		d.onThread("fs-sync", syncs),
		d.onThread("fs-failures", failures),
		d.onThread("fs-other", others),
		d.onThread("fs-names", names),
		d.atOnce(),
	))
}
