// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload has processes that call the C library's memory functions in all the ways that
// trace_malloc distinguishes.
//
//	workload DIR
//
// DIR is a folder for its files.
//
// A Go program does not use the C library. The processes are programs of a few dozen instructions
// that make a list of calls; the workload writes their files itself, so that it needs no compiler,
// and no start-up code allocates memory.
package main

import (
	"fmt"
	"path/filepath"
	"strconv"

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
			if err := p.goOn(); err != nil {
				return nil, err
			}
		}
		var events []Event
		for _, p := range processes {
			more, err := p.finish()
			if err != nil {
				return nil, err
			}
			events = append(events, more...)
		}
		return events, nil
	})
}

func startAll(dir string) ([]*process, error) {
	sys, err := findSystem("/bin/sh")
	if err != nil {
		return nil, fmt.Errorf("find the C library: %w", err)
	}
	var list []*process
	for i, s := range []*script{allFunctions(), manyCalls(), manyCalls()} {
		p, err := start(s, sys, filepath.Join(dir, strconv.Itoa(i)))
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}
