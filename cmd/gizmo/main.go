// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command gizmo builds and runs gadgets.
package main

import (
	"fmt"
	"os"

	"github.com/gizmo-ebpf/gizmo/internal/cli"
	"github.com/gizmo-ebpf/gizmo/internal/cli/containers"
)

// guard is the argument with which gizmo starts itself to watch containers. Users do not need it.
const guard = "guard-containers"

func main() {
	if len(os.Args) == 2 && os.Args[1] == guard {
		if err := containers.Guard(); err != nil {
			fmt.Fprintln(os.Stderr, "gizmo:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(cli.Main(os.Args[1:], cli.Streams{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, DropPrivileges: true,
		Guard: []string{"/proc/self/exe", guard},
	}))
}
