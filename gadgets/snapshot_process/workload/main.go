// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload is a number of processes and threads that snapshot_process has to tell apart.
//
//	workload DIR
//
// Its rows are of all threads that count. They have the same name, which is among the arguments. DIR
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
