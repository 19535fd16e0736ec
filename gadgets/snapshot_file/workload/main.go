// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload has descriptors of all that snapshot_file has to tell apart.
//
//	workload DIR
//
// It opens files and all else that the kernel offers, writes a line {"ready": true, "snapshot": true,
// "args": […], "pid": …} to standard output, with the arguments that snapshot_file is to be run with
// meanwhile, and waits for a line on standard input. Then it prints a line of JSON for each of its
// descriptors, and ends. DIR is a folder for its files.
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
	Ready    bool     `json:"ready"`
	Snapshot bool     `json:"snapshot"`
	Args     []string `json:"args"`
	PID      int      `json:"pid"`
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
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	o := &opener{dir: dir, rows: make(map[int]Row)}
	if err := o.openAll(); err != nil {
		return err
	}
	rows, err := o.describe()
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	pid := os.Getpid()
	if err := out.Encode(ready{Ready: true, Snapshot: true, Args: []string{"--paths", "--pid", strconv.Itoa(pid)}, PID: pid}); err != nil {
		return err
	}
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return fmt.Errorf("wait for the snapshot: %w", err)
	}
	for i := range rows {
		if err := out.Encode(&rows[i]); err != nil {
			return err
		}
	}
	return nil
}
