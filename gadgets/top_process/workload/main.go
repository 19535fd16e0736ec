// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload shows processes of all kinds to top_process.
//
//	workload DIR
//
// It starts itself again for each process. These are stopped, so that what they use does not change, and the workload can compare it with
// what /proc/PID/status says, from which gizmo does not read.
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
	name := fmt.Sprintf("top-%d", os.Getpid())
	var rows []Row
	for _, r := range roles() {
		c := start(r, name, dir)
		defer c.end()
		rows = append(rows, c.row())
	}
	return workload.Show([]string{"--count", "1", "--filter", "comm==" + name}, rows)
}
