// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload executes programs in all the ways that trace_exec has to tell apart.
//
//	workload [-races] DIR
//
// It writes a line {"args": […], "pid": …} to standard output, with the arguments that trace_exec is
// to be run with, and waits for a line on standard input. Then it causes its events, prints one line
// of JSON for each and ends. Of what a thread causes the order is that of the lines. DIR is a folder
// for its files.
//
// With -races, threads of one process execute programs at the same time. Each time one of them
// succeeds; whether the others fail before they are killed is chance, so failures are left out.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
)

// ready is the first line.
type ready struct {
	Args []string `json:"args"`
	PID  int      `json:"pid"`
}

func main() {
	if mode := os.Getenv(modeVar); mode != "" {
		child(mode)
		return
	}
	races := flag.Bool("races", false, "execute programs from several threads of one process at the same time")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: workload [-races] DIR")
		os.Exit(2)
	}
	run, args := Run, []string{"--paths", "--ignore-failed=false"}
	if *races {
		run, args = Races, []string{"--paths"}
	}
	if err := serve(flag.Arg(0), args, run); err != nil {
		fmt.Fprintln(os.Stderr, "workload:", err)
		os.Exit(1)
	}
}

func serve(dir string, args []string, run func(*files) ([]Event, error)) error {
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	if err := out.Encode(ready{Args: args, PID: os.Getpid()}); err != nil {
		return err
	}
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return fmt.Errorf("wait for the start: %w", err)
	}
	f, err := newFiles(dir)
	if err != nil {
		return fmt.Errorf("make files: %w", err)
	}
	events, err := run(f)
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
