// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Otherwise Go's runtime would name its memory by a call that one of the hooks reports.
//go:debug decoratemappings=0

// Command workload makes the kernel call hooks of several kinds, which trace_lsm distinguishes.
//
//	workload DIR
//
// DIR is not used.
package main

import (
	"os"
	"strconv"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

func main() { workload.Main(run) }

func run(string) error {
	p := prepare()
	// With the process' id no event is lost because others cause a lot.
	args := []string{"--pid", strconv.Itoa(os.Getpid())}
	for _, hook := range hooks {
		args = append(args, "--trace-"+hook)
	}
	return workload.Cause(args, workload.InTurn(
		p.onThread("lsm-files", files),
		p.onThread("lsm-sockets", sockets),
		p.onThread("lsm-tasks", tasks),
		p.onThread("lsm-exec", execute),
		p.atOnce(),
	))
}
