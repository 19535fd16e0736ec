// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command gizmo builds and runs gadgets.
package main

import (
	"os"

	"github.com/gizmo-ebpf/gizmo/internal/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, DropPrivileges: true}))
}
