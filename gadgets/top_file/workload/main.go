// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload reads and writes files in all the ways that top_file has to tell apart.
//
//	workload DIR
//
// It writes a line {"args": […], "pid": …} to standard output, with the arguments that top_file is to
// be run with, and waits for a line on standard input. Then it causes its events, prints one line of
// JSON for each row of the array that they make and ends. DIR is a folder for its files.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
)

// comm is the name of all threads that cause events. The others read and write, too: pipes of the
// language's runtime, standard input and output.
const comm = "top-file-work"

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
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	// One array, at the end of the run.
	args := []string{"--map-fetch-interval", "0", "--all-files", "--pid", strconv.Itoa(os.Getpid()), "--comm", comm}
	if err := out.Encode(ready{Args: args, PID: os.Getpid()}); err != nil {
		return err
	}
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return fmt.Errorf("wait for the start: %w", err)
	}
	rows, err := Run(dir)
	if err != nil {
		return err
	}
	for i := range rows {
		if err := out.Encode(&rows[i]); err != nil {
			return err
		}
	}
	return nil
}
