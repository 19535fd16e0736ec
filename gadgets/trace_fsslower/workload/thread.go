// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// thread is a thread that uses the file system.
type thread struct {
	*workload.Thread[Event]
	*disk
}

func (d *disk) onThread(comm string, do func(*thread)) workload.Task[Event] {
	return workload.OnThread(comm, func(t *workload.Thread[Event]) error {
		do(&thread{t, d})
		return nil
	})
}

// list lists an event.
func (t *thread) list(o op, file string, offset int64, size int, err unix.Errno) {
	t.Events = append(t.Events, Event{
		Proc: t.Proc, Op: opNames[o], OpRaw: uint32(o), Outcome: workload.OutcomeOf(err), File: file, Offset: offset, Size: uint64(size),
	})
}
