// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload has sockets in all the states that snapshot_socket distinguishes.
//
//	workload DIR
//
// They are on the loopback interface. It lists the rows of all of them. DIR is not used.
package main

import "github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"

func main() { workload.Main(run) }

func run(string) error {
	m := &maker{netns: workload.Must(workload.Namespace("/proc/self/ns/net"))}
	m.makeAll()
	return workload.Show([]string{"--filter-expr", m.filter()}, m.rows)
}
