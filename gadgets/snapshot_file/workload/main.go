// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload has descriptors of all that snapshot_file has to tell apart.
//
//	workload DIR
//
// It opens files in DIR and all else that the kernel offers. Its rows are of all descriptors that it
// has then.
package main

import (
	"os"
	"path/filepath"
	"strconv"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

func main() { workload.Main(run) }

func run(dir string) error {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	o := &opener{dir: dir, rows: make(map[int]Row)}
	if err := o.openAll(); err != nil {
		return err
	}
	rows, err := o.describe()
	if err != nil {
		return err
	}
	return workload.Show([]string{"--paths", "--pid", strconv.Itoa(os.Getpid())}, rows)
}
