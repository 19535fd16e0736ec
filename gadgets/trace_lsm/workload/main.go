// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Go's runtime would name its memory by a call that one of the hooks is for.
//go:debug decoratemappings=0

// Command workload makes the kernel call hooks of several kinds for trace_lsm to tell apart.
//
//	workload DIR
//
// It writes a line {"args": […], "pid": …} to standard output, with the arguments that trace_lsm is
// to be run with, and waits for a line on standard input. Then it causes its events, prints one line
// of JSON for each and ends. Of what a thread causes the order is that of the lines. DIR is not used.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
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
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "workload:", err)
		os.Exit(1)
	}
}

func serve() error {
	process, err := prepare()
	if err != nil {
		return fmt.Errorf("make files: %w", err)
	}
	out := json.NewEncoder(os.Stdout)
	// With the process' id no event is lost because others cause a lot.
	args := []string{"--pid", strconv.Itoa(os.Getpid())}
	for _, hook := range hooks {
		args = append(args, "--trace-"+hook)
	}
	if err := out.Encode(ready{Args: args, PID: os.Getpid()}); err != nil {
		return err
	}
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return fmt.Errorf("wait for the start: %w", err)
	}
	events, err := run(process)
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
