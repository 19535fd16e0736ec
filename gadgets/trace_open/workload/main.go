// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload opens files in all the ways that trace_open has to tell apart.
//
//	workload DIR
//
// It writes a line {"args": […], "pid": …} to standard output, with the arguments that trace_open is
// to be run with, and waits for a line on standard input. Then it causes its events, prints one line
// of JSON for each and ends. Of what a thread causes the order is that of the lines. DIR is a folder
// for its files.
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
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	// With the process' id no event is lost because others open a lot.
	first := ready{Args: []string{"--paths", "--pid", strconv.Itoa(os.Getpid())}, PID: os.Getpid()}
	if err := out.Encode(first); err != nil {
		return err
	}
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return fmt.Errorf("wait for the start: %w", err)
	}
	events, err := Run(dir)
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
