// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload has processes that call the C library's memory functions in all the ways that
// trace_malloc has to tell apart.
//
//	workload DIR
//
// It writes a line {"args": […], "pid": …} to standard output, with the arguments that trace_malloc
// is to be run with, and waits for a line on standard input. Then it causes its events, prints one
// line of JSON for each and ends. Of what a process causes the order is that of the lines. DIR is a
// folder for its files.
//
// A Go program does not use the C library. The processes are programs of a few dozen instructions
// that call what they are told to; the workload writes their files by itself, so that no compiler
// is needed where it runs, and no start-up code asks for memory of its own.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
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
	processes, err := startAll(dir)
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	// With the processes' name no event is lost because others allocate a lot.
	if err := out.Encode(ready{Args: []string{"--comm", comm}, PID: os.Getpid()}); err != nil {
		return err
	}
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return fmt.Errorf("wait for the start: %w", err)
	}
	for _, p := range processes {
		if err := p.goOn(); err != nil {
			return err
		}
	}
	for _, p := range processes {
		events, err := p.finish()
		if err != nil {
			return err
		}
		for i := range events {
			if err := out.Encode(&events[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

func startAll(dir string) ([]*process, error) {
	sys, err := findSystem("/bin/sh")
	if err != nil {
		return nil, fmt.Errorf("find the C library: %w", err)
	}
	var list []*process
	for i, s := range []*script{allFunctions(), manyCalls(), manyCalls()} {
		p, err := start(s, sys, filepath.Join(dir, strconv.Itoa(i)))
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}
