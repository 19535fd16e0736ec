// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload binds sockets in all the ways that trace_bind has to tell apart.
//
//	workload DIR
//
// It writes a line {"args": […], "pid": …} to standard output, with the arguments that trace_bind is
// to be run with, and waits for a line on standard input. Then it causes its events, prints one line
// of JSON for each and ends. Of what a thread causes the order is that of the lines. DIR is not used.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
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
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	if err := out.Encode(ready{Args: []string{"--ignore-errors=false"}, PID: os.Getpid()}); err != nil {
		return err
	}
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return fmt.Errorf("wait for the start: %w", err)
	}
	events, err := Run()
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
