// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload opens files in all the ways that trace_open distinguishes.
//
//	workload DIR
//
// DIR is a folder for its files.
package main

import (
	"os"
	"strconv"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

func main() { workload.Main(run) }

func run(dir string) error {
	f := newFiles(dir)
	// With the process' id no event is lost because others open a lot.
	return workload.Cause([]string{"--paths", "--pid", strconv.Itoa(os.Getpid())}, f.openAll())
}
