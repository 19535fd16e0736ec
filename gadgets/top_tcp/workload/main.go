// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload sends and receives in all the ways that top_tcp distinguishes.
//
//	workload DIR
//
// All connections are between addresses of this machine. DIR is an empty folder.
package main

import (
	"os"
	"strconv"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// comm is the name of all threads that send and receive.
const comm = "top-tcp-work"

func main() { workload.Main(run) }

func run(dir string) error {
	if err := os.Chdir(dir); err != nil {
		return err
	}
	// One array, at the end of the run.
	args := []string{"--map-fetch-interval", "0", "--pid", strconv.Itoa(os.Getpid()), "--comm", comm}
	return workload.Cause(args, workload.InTurn(
		onThread(both),
		onThread(looking),
		onThread(inParts),
		onThread(files),
		onThread(pipes),
		onThread(failing),
		onThread(asNobody),
		onThread(others),
		together,
	))
}

// Row is a row of top_tcp, with the fields that are known in advance.
type Row struct {
	MntnsID  uint64            `json:"mntns_id"`
	PID      int               `json:"pid"`
	TID      int               `json:"tid"`
	Src      workload.Endpoint `json:"src"`
	Dst      workload.Endpoint `json:"dst"`
	Comm     string            `json:"comm"`
	Sent     uint64            `json:"sent_raw"`
	Received uint64            `json:"received_raw"`
}

// thread is a thread that sends and receives.
type thread struct{ *workload.Thread[Row] }

func onThread(do func(*thread)) workload.Task[Row] {
	return workload.OnThread(comm, func(t *workload.Thread[Row]) error {
		do(&thread{t})
		return nil
	})
}

// list lists what the thread has moved through one end of a connection.
func (t *thread) list(src, dst workload.Endpoint, sent, received int) {
	t.Events = append(t.Events, Row{
		MntnsID: t.Proc.MntnsID, PID: t.Proc.PID, TID: t.Proc.TID, Src: src, Dst: dst, Comm: comm,
		Sent: uint64(sent), Received: uint64(received),
	})
}
