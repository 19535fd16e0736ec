// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload executes programs in all the ways that trace_exec distinguishes.
//
//	workload [-races] DIR
//
// DIR is a folder for its files.
//
// With -races, threads of one process execute programs at the same time. Each time one of them
// succeeds; whether the others fail before they are killed is chance, so failures are left out.
package main

import (
	"flag"
	"os"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

func main() {
	if mode := os.Getenv(modeVar); mode != "" {
		child(mode)
		return
	}
	races := flag.Bool("races", false, "execute programs from several threads of one process at the same time")
	workload.Main(func(dir string) error {
		args, cause := []string{"--paths", "--ignore-failed=false"}, (*files).all
		if *races {
			args, cause = []string{"--paths"}, (*files).races
		}
		return workload.Cause(args, cause(newFiles(dir)))
	})
}
