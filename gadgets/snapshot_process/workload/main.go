// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload starts processes and threads of all kinds that snapshot_process distinguishes.
//
//	workload DIR
//
// It lists the rows of these threads. They have the same name, which is among the arguments for gizmo. DIR
// is not used.
package main

import (
	"fmt"
	"os"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

func main() {
	do := run
	if os.Getenv(roleVar) != "" {
		do = runChild
	}
	workload.Main(do)
}

func run(dir string) error {
	self := workload.Must(workload.Self())
	name := fmt.Sprintf("snap-%d", os.Getpid())
	var rows []workload.Proc
	for _, r := range roles() {
		c := start(r, name, dir)
		defer func() { // a process ends with its input
			c.in.Close()
			_ = c.cmd.Wait()
		}()
		rows = append(rows, c.rows(self)...)
	}
	return workload.Show([]string{"--threads", "--comm", name}, rows)
}
