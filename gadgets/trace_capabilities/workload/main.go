// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload makes the kernel check for capabilities.
//
//	workload DIR
//
// It writes a line {"args": […], "pid": …} to standard output, with the arguments that
// trace_capabilities is to be run with, and waits for a line on standard input. Then it causes its
// events, prints one line of JSON for each and ends. Of what a thread causes the order is that of
// the lines. DIR is not used.
//
// The kernel also checks when a program takes memory, which Go does when it likes. So threads have
// the name that is asked for only while they make the calls that count.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// ready is the first line.
type ready struct {
	Args []string `json:"args"`
	PID  int      `json:"pid"`
}

// modeVar is the environment variable that makes this program a process in a user namespace.
const modeVar = "WORKLOAD_IN_USER_NAMESPACE"

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: workload DIR")
		os.Exit(2)
	}
	run := serve
	if os.Getenv(modeVar) != "" {
		run = inUserNamespace
	}
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "workload:", err)
		os.Exit(1)
	}
}

func serve(in io.Reader, out io.Writer) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(ready{Args: []string{"--comm", comm}, PID: os.Getpid()}); err != nil {
		return err
	}
	if _, err := bufio.NewReader(in).ReadString('\n'); err != nil {
		return fmt.Errorf("wait for the start: %w", err)
	}
	events, err := Run()
	if err != nil {
		return err
	}
	return write(enc, events)
}

func write(enc *json.Encoder, events []Event) error {
	for i := range events {
		if err := enc.Encode(&events[i]); err != nil {
			return err
		}
	}
	return nil
}
