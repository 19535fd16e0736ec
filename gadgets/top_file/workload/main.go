// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload reads and writes files in all the ways that top_file distinguishes.
//
//	workload DIR
//
// DIR is a folder for its files.
package main

import (
	"os"
	"path/filepath"
	"strconv"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// comm is the name of all threads that cause events. The others read and write, too: pipes of the
// language's runtime, standard input and output.
const comm = "top-file-work"

func main() { workload.Main(run) }

func run(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	f := files(dir)
	// One array, at the end of the run.
	args := []string{"--map-fetch-interval", "0", "--all-files", "--pid", strconv.Itoa(os.Getpid()), "--comm", comm}
	return workload.Cause(args, workload.InTurn(
		onThread(f.readAndWrite),
		onThread(f.readAgain),
		onThread(f.fail),
		onThread(f.writeOften),
		onThread(f.oddNames),
		onThread(f.deleted),
		onThread(f.asNobody),
		onThread(f.otherFiles),
		workload.Times(4, func(int) workload.Task[Row] { return onThread(f.writeAndRead) }),
	))
}
