// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload sends signals in all the ways that trace_signal has to tell apart.
//
//	workload DIR
//
// It writes a line {"args": […], "pid": …} to standard output, with the arguments that trace_signal
// is to be run with, and waits for a line on standard input. Then it causes its events, prints one
// line of JSON for each and ends. Of what a thread causes the order is that of the lines. DIR is not
// used.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ready is the first line.
type ready struct {
	Args []string `json:"args"`
	PID  int      `json:"pid"`
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: workload DIR")
		os.Exit(2)
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "workload:", err)
		os.Exit(1)
	}
}

func run() error {
	// Else Go's own scheduler sends signals between the threads.
	const quiet = "asyncpreemptoff=1"
	if os.Getenv("GODEBUG") == quiet {
		return serve()
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.Setenv("GODEBUG", quiet); err != nil {
		return err
	}
	return unix.Exec(program, os.Args, os.Environ())
}

func serve() error {
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	targets, err := startTargets()
	if err != nil {
		return err
	}
	defer targets.stop()
	// The signal that tells of our own end comes from any of our threads.
	first := ready{Args: []string{"--filter", fmt.Sprintf("tpid!=%d", os.Getppid())}, PID: os.Getpid()}
	if err := out.Encode(first); err != nil {
		return err
	}
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return fmt.Errorf("wait for the start: %w", err)
	}
	events, err := targets.cause()
	if err != nil {
		return err
	}
	for i := range events {
		if err := out.Encode(&events[i]); err != nil {
			return err
		}
	}
	return nil
}
