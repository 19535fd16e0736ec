// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload sends signals in all the ways that trace_signal distinguishes.
//
//	workload DIR
//
// DIR is not used.
package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

func main() { workload.Main(run) }

func run(string) error {
	if err := becomeQuiet(); err != nil {
		return err
	}
	targets := startTargets()
	// The signal at the end of the workload itself comes from any of its threads.
	return workload.Cause([]string{"--filter", fmt.Sprintf("tpid!=%d", os.Getppid())}, workload.InTurn(
		targets.onThread("signal-kill", processes),
		targets.onThread("signal-a-name-longer-than-comm", threads),
		targets.onThread("signal-queue", queues),
		targets.onThread("signal-pidfd", descriptors),
		targets.onThread("signal-nobody", forbidden),
		targets.onThread("signal-overflow", overflows),
		targets.onThread("signal-kernel", fromKernel),
		targets.onThread("signal-32-bit", workload.Compat((*thread).call32)),
		targets.onThread("signal-children", children),
	))
}

// becomeQuiet executes this program once more without the signals that Go's own scheduler sends
// between the threads.
func becomeQuiet() error {
	const quiet = "asyncpreemptoff=1"
	if os.Getenv("GODEBUG") == quiet {
		return nil
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.Setenv("GODEBUG", quiet); err != nil {
		return err
	}
	return unix.Exec(program, os.Args, os.Environ())
}
