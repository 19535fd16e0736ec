// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// thread is one that executes the files.
type thread struct {
	*workload.Thread[Event]
	*files
}

func (f *files) onThread(comm string, do func(*thread) error) workload.Task[Event] {
	return workload.OnThread(comm, func(t *workload.Thread[Event]) error { return do(&thread{t, f}) })
}

// onThreads has n threads do the same at the same time.
func (f *files) onThreads(n int, do func(*thread) error) workload.Task[Event] {
	var tasks []workload.Task[Event]
	for i := range n {
		tasks = append(tasks, f.onThread(fmt.Sprintf("exec-thread-%d", i), do))
	}
	return workload.AtOnce(tasks...)
}

// event is one of the process pid, which the thread has started.
func (t *thread) event(pid int) Event {
	proc := t.Proc.Child("", pid)
	proc.Parent.Comm, proc.Parent.TID = t.Proc.Comm, t.Proc.TID
	return t.eventOf(proc)
}

// eventOf is an event with what is true of all.
func (t *thread) eventOf(proc workload.Proc) Event {
	return Event{
		Proc: proc, LoginUID: t.loginUID, SessionID: t.sessionID,
		Cwd: cutPath(t.dir), Exepath: cutPath(t.path("program")),
	}
}
