// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package workload has the code that the workloads of all gadgets share: their side of the protocol that the
// documentation of package test/e2e describes, threads with known names to cause events on, calls of
// 32-bit programs, and the parts that many events have: a process, an endpoint, an error.
//
// A workload prepares, and then calls [Cause] or, for a snapshot, [Show]:
//
//	func main() { workload.Main(run) }
//
//	func run(dir string) error {
//		return workload.Cause([]string{"--ignore-failed=false"}, workload.InTurn(
//			workload.OnThread("calls", makeCalls),
//			workload.OnThread("failures", makeBadCalls),
//		))
//	}
//
// Code that cannot go on calls [Check], [Must] or [Want], and the workload ends with the error.
//
// The type parameter E of the functions is the workload's own type for an expected event: a struct
// that is written to JSON as gizmo writes the event.
package workload

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
)

// Main calls run with the folder that the command line names, and ends the process if that fails. A
// workload that has flags declares them before, with package flag.
func Main(run func(dir string) error) {
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: workload [flags] DIR")
		flag.PrintDefaults()
		os.Exit(2)
	}
	if err := try(func() error { return run(flag.Arg(0)) }); err != nil {
		fmt.Fprintln(os.Stderr, "workload:", err)
		os.Exit(1)
	}
}

// Cause reports that everything is prepared, runs the task when the test has started gizmo, and lists the
// events. args are further arguments for "gizmo run".
func Cause[E any](args []string, task Task[E]) error {
	return serve(os.Stdin, os.Stdout, ready{Ready: true, Args: args, PID: os.Getpid()}, task)
}

// Show is Cause for a gadget that shows what exists: everything that the rows describe exists already,
// and stays until Show returns.
func Show[E any](args []string, rows []E) error {
	first := ready{Ready: true, Snapshot: true, Args: args, PID: os.Getpid()}
	return serve(os.Stdin, os.Stdout, first, func() ([]E, error) { return rows, nil })
}

// ready is the first line.
type ready struct {
	Ready    bool     `json:"ready"`
	Snapshot bool     `json:"snapshot,omitempty"`
	Args     []string `json:"args,omitempty"`
	PID      int      `json:"pid"`
}

func serve[E any](in io.Reader, out io.Writer, first ready, task Task[E]) error {
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	if err := lines.Encode(first); err != nil {
		return err
	}
	if _, err := bufio.NewReader(in).ReadString('\n'); err != nil {
		return fmt.Errorf("wait for the start: %w", err)
	}
	events, err := task()
	if err != nil {
		return err
	}
	for i := range events {
		if err := lines.Encode(&events[i]); err != nil {
			return err
		}
	}
	return nil
}
