// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// thread is a thread that executes the files.
type thread struct {
	*workload.Thread[Event]
	*files
}

func (f *files) onThread(comm string, do func(*thread)) workload.Task[Event] {
	return workload.OnThread(comm, func(t *workload.Thread[Event]) error {
		do(&thread{t, f})
		return nil
	})
}

// onThreads has n threads do the same at the same time.
func (f *files) onThreads(n int, do func(*thread)) workload.Task[Event] {
	return workload.Times(n, func(i int) workload.Task[Event] { return f.onThread(fmt.Sprintf("exec-thread-%d", i), do) })
}

// event returns an event of the process pid, which the thread has started.
func (t *thread) event(pid int) Event {
	proc := t.Proc.Child("", pid)
	proc.Parent.Comm, proc.Parent.TID = t.Proc.Comm, t.Proc.TID
	return t.eventOf(proc)
}

// eventOf returns an event with the fields that are the same in all.
func (t *thread) eventOf(proc workload.Proc) Event {
	return Event{
		Proc: proc, LoginUID: t.loginUID, SessionID: t.sessionID,
		Cwd: workload.CutPath(t.dir), Exepath: workload.CutPath(t.path("program")),
	}
}

// all are the tasks of a run.
func (f *files) all() workload.Task[Event] {
	return workload.InTurn(
		f.onThread("exec-ways", func(t *thread) { t.startAll(waysToStart(f)) }),
		f.onThread("exec-args", func(t *thread) { t.startAll(argsToStart()) }),
		f.onThread("exec-again", executeAgain),
		f.onThread("exec-failures", func(t *thread) { t.failAll(failures(f)) }),
		f.onThread("exec-32-bit", workload.Compat((*thread).call32)),
		f.onThreads(4, startOften),
	)
}

// executeAgain starts programs that execute another.
func executeAgain(t *thread) {
	for _, next := range []struct{ mode, fname, comm, exepath string }{
		{modeThread, "./program", "program", t.path("program")},
		{modeDir, fmt.Sprintf("/dev/fd/%d/program", givenFD), "program", t.path("program")},
		{modeFD, fmt.Sprintf("/dev/fd/%d", givenFD), "", t.path("program")},
		{modeMemory, fmt.Sprintf("/dev/fd/%d", givenFD), "", "memfd:in memory"},
	} {
		e := t.event(t.start(program{name: "./program", args: []string{"first"}, mode: next.mode}))
		e.setFname(next.fname)
		e.setArgs(nextArgs)
		e.Proc.Comm, e.Exepath = next.comm, next.exepath
		t.Events = append(t.Events, e)
	}
}

// startOften is for several threads at the same time.
func startOften(t *thread) {
	for n := range 50 {
		t.start(program{name: "./program", args: []string{"program", t.Proc.Comm, fmt.Sprint(n)}})
	}
}

// races are threads that execute programs at the same time.
func (f *files) races() workload.Task[Event] {
	return f.onThreads(2, func(t *thread) {
		for range 50 {
			e := t.event(t.start(program{name: "./program", args: []string{"racer"}, mode: modeRace}))
			e.setFname("./program")
			e.setArgs(nextArgs)
			e.Proc.Comm = "program"
			t.Events = append(t.Events, e)
		}
	})
}
