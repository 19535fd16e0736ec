// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload has descriptors of all that snapshot_file has to tell apart.
//
//	workload DIR
//
// It opens files in DIR and all else that the kernel offers. Its rows are of all descriptors that it
// has then.
package main

import (
	"os"
	"strconv"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

func main() { workload.Main(run) }

func run(dir string) error {
	o := &opener{dir: workload.Must(workload.EnterDir(dir)), rows: make(map[int]Row)}
	o.openAll()
	return workload.Show([]string{"--paths", "--pid", strconv.Itoa(os.Getpid())}, o.describe())
}
