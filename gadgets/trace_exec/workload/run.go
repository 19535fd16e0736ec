// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"sync"
)

// Run causes the events and returns them.
func Run(f *files) ([]Event, error) {
	var events []Event
	for _, part := range []struct {
		comm string
		do   func(*thread) error
	}{
		{"exec-ways", func(t *thread) error { return t.startAll(waysToStart(t.files)) }},
		{"exec-args", func(t *thread) error { return t.startAll(argsToStart()) }},
		{"exec-again", executeAgain},
		{"exec-failures", func(t *thread) error { return t.failAll(failures(t.files)) }},
		{"exec-32-bit", compat},
	} {
		more, err := f.onThread(part.comm, part.do)
		if err != nil {
			return nil, err
		}
		events = append(events, more...)
	}
	more, err := atOnce(f)
	return append(events, more...), err
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
		t.events = append(t.events, e)
	}
	return nil
}

// atOnce starts programs from several threads at the same time.
func atOnce(f *files) ([]Event, error) {
	return inThreads(f, 4, func(t *thread) error {
		for n := range 50 {
			if _, err := t.start(program{name: "./program", args: []string{"program", t.comm, fmt.Sprint(n)}}); err != nil {
				return err
			}
		}
		return nil
	})
}

// Races causes the events of threads that execute programs at the same time, and returns them.
func Races(f *files) ([]Event, error) {
	return inThreads(f, 2, func(t *thread) error {
		for range 50 {
			pid, err := t.start(program{name: "./program", args: []string{"racer"}, mode: modeRace})
			if err != nil {
				return err
			}
			e := t.event(pid)
			e.setFname("./program")
			e.setArgs(nextArgs)
			e.Proc.Comm = "program"
			t.events = append(t.events, e)
		}
		return nil
	})
}

func inThreads(f *files, threads int, do func(*thread) error) ([]Event, error) {
	var wg sync.WaitGroup
	events, errs := make([][]Event, threads), make([]error, threads)
	for i := range threads {
		wg.Go(func() {
			events[i], errs[i] = f.onThread(fmt.Sprintf("exec-thread-%d", i), do)
		})
	}
	wg.Wait()
	var all []Event
	for i := range threads {
		if errs[i] != nil {
			return nil, errs[i]
		}
		all = append(all, events[i]...)
	}
	return all, nil
}
