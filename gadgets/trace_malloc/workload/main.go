// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload has processes that call the C library's memory functions in all the ways that
// trace_malloc distinguishes. One of them releases nothing; it has another name, and its events are not listed.
//
//	workload DIR
//
// DIR is a folder for its files.
package main

import (
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/calls"
	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

func main() { workload.Main(run) }

func run(dir string) error {
	processes, err := startAll(dir)
	if err != nil {
		return err
	}
	// With the processes' name no event is lost because others allocate a lot.
	return workload.Cause([]string{"--comm", comm}, func() ([]Event, error) {
		for _, p := range processes {
			if err := p.GoOn(); err != nil {
				return nil, err
			}
		}
		var events []Event
		for _, p := range processes {
			words, proc, err := p.Finish()
			if err != nil {
				return nil, err
			}
			if p.script.comm == comm {
				events = append(events, p.script.results(words, proc)...)
			}
		}
		return events, nil
	})
}

// process is a script that has been started and waits.
type process struct {
	*calls.Process
	script *script
}

// The names of the processes, and of the files with their programs.
const (
	comm    = "malloc-calls"
	keeping = "malloc-keeps"
)

func startAll(dir string) ([]process, error) {
	sys, err := calls.FindSystem("/bin/sh")
	if err != nil {
		return nil, fmt.Errorf("find the C library: %w", err)
	}
	var list []process
	for i, s := range []*script{allFunctions(), manyCalls(), manyCalls(), keepAll()} {
		p, err := calls.Start(s.Program, sys, filepath.Join(dir, strconv.Itoa(i)), s.comm)
		if err != nil {
			return nil, err
		}
		list = append(list, process{p, s})
	}
	return list, nil
}
