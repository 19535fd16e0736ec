// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// all are the tasks of a run.
func (f *files) all() workload.Task[Event] {
	return workload.InTurn(
		f.onThread("exec-ways", func(t *thread) error { return t.startAll(waysToStart(f)) }),
		f.onThread("exec-args", func(t *thread) error { return t.startAll(argsToStart()) }),
		f.onThread("exec-again", executeAgain),
		f.onThread("exec-failures", func(t *thread) error { return t.failAll(failures(f)) }),
		f.onThread("exec-32-bit", workload.Compat((*thread).call32)),
		f.onThreads(4, startOften),
	)
}

// executeAgain starts programs that execute another.
func executeAgain(t *thread) error {
	for _, next := range []struct{ mode, fname, comm, exepath string }{
		{modeThread, "./program", "program", t.path("program")},
		{modeDir, fmt.Sprintf("/dev/fd/%d/program", givenFD), "program", t.path("program")},
		{modeFD, fmt.Sprintf("/dev/fd/%d", givenFD), "", t.path("program")},
		{modeMemory, fmt.Sprintf("/dev/fd/%d", givenFD), "", "memfd:in memory"},
	} {
		pid, err := t.start(program{name: "./program", args: []string{"first"}, mode: next.mode})
		if err != nil {
			return err
		}
		e := t.event(pid)
		e.setFname(next.fname)
		e.setArgs(nextArgs)
		e.Proc.Comm, e.Exepath = next.comm, next.exepath
		t.Events = append(t.Events, e)
	}
	return nil
}

// startOften is for several threads at the same time.
func startOften(t *thread) error {
	for n := range 50 {
		if _, err := t.start(program{name: "./program", args: []string{"program", t.Proc.Comm, fmt.Sprint(n)}}); err != nil {
			return err
		}
	}
	return nil
}

// races are threads that execute programs at the same time.
func (f *files) races() workload.Task[Event] {
	return f.onThreads(2, func(t *thread) error {
		for range 50 {
			pid, err := t.start(program{name: "./program", args: []string{"racer"}, mode: modeRace})
			if err != nil {
				return err
			}
			e := t.event(pid)
			e.setFname("./program")
			e.setArgs(nextArgs)
			e.Proc.Comm = "program"
			t.Events = append(t.Events, e)
		}
		return nil
	})
}
