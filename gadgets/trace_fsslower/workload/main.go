// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload works with the files of an ext4 file system in all the ways that trace_fsslower has
// to tell apart. To it all operations are slow.
//
//	workload DIR
//
// It writes a line {"args": […], "pid": …} to standard output, with the arguments that trace_fsslower
// is to be run with, and waits for a line on standard input. Then it causes its events, prints one
// line of JSON for each and ends. Of what a thread causes the order is that of the lines. DIR is a
// folder for the file that the file system lies in.
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
	if err := serve(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "workload:", err)
		os.Exit(1)
	}
}

func serve(dir string) error {
	root, err := newDisk(dir)
	if err != nil {
		return fmt.Errorf("make a file system: %w", err)
	}
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	args := []string{"--filesystem", "ext4", "--min", "0", "--pid", strconv.Itoa(os.Getpid())}
	if err := out.Encode(ready{Args: args, PID: os.Getpid()}); err != nil {
		return err
	}
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return fmt.Errorf("wait for the start: %w", err)
	}
	events, err := run(root)
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
