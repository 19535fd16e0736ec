// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload makes and ends TCP connections in all the ways that trace_tcp has to tell apart.
//
//	workload DIR
//
// It writes a line {"pid": …} to standard output and waits for a line on standard input. Then it
// causes its events, prints one line of JSON for each and ends. Of what a thread causes the order is
// that of the lines. All is between addresses of this machine. DIR is not used.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
)

// ready is the first line.
type ready struct {
	PID int `json:"pid"`
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
	if err := out.Encode(ready{PID: os.Getpid()}); err != nil {
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
