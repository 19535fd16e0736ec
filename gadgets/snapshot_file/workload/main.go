// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload has descriptors of all that snapshot_file has to tell apart.
//
//	workload DIR
//
// It opens files in DIR and all else that the kernel offers. Its rows are of all descriptors that it
// has then, and of those of a process whose first thread has ended.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

func main() {
	do := run
	if os.Getenv(nameVar) != "" {
		do = beHeadless
	}
	workload.Main(do)
}

func run(dir string) error {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	o := &opener{dir: dir, rows: make(map[int]Row)}
	if err := o.openAll(); err != nil {
		return err
	}
	name := fmt.Sprintf("files-%d", os.Getpid())
	if err := nameThreads(name); err != nil {
		return err
	}
	h, more, err := startHeadless(name, dir)
	if err != nil {
		return err
	}
	defer h.stop()
	rows, err := o.describe()
	if err != nil {
		return err
	}
	return workload.Show([]string{"--paths", "--comm", name}, append(rows, more...))
}
