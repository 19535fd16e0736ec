// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload has descriptors of all kinds that snapshot_file distinguishes.
//
//	workload DIR
//
// It opens files in DIR and everything else that the kernel offers. It lists the rows of all descriptors that it
// then has, and of those of a process whose first thread has ended.
package main

import (
	"fmt"
	"os"

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
	o := &opener{dir: workload.Must(workload.EnterDir(dir)), rows: make(map[int]Row)}
	o.openAll()
	name := fmt.Sprintf("files-%d", os.Getpid())
	nameThreads(name)
	stop, headless := startHeadless(name, dir)
	defer stop()
	return workload.Show([]string{"--paths", "--comm", name}, append(o.describe(), headless...))
}
