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
	self, err := workload.Self()
	if err != nil {
		return err
	}
	name := fmt.Sprintf("snap-%d", os.Getpid())
	var rows []workload.Proc
	for _, r := range roles() {
		c, err := start(r, name, dir)
		if err != nil {
			return fmt.Errorf("process %s: %w", r.name, err)
		}
		defer c.stop()
		more, err := c.rows(self)
		if err != nil {
			return fmt.Errorf("process %s: %w", r.name, err)
		}
		rows = append(rows, more...)
	}
	return workload.Show([]string{"--threads", "--comm", name}, rows)
}
