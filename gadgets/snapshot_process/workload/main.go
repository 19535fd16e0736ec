// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload is a number of processes and threads that snapshot_process has to tell apart.
//
//	workload DIR
//
// It starts processes, writes a line {"ready": true, "snapshot": true, "args": […], "pid": …} to
// standard output, with the arguments that snapshot_process is to be run with meanwhile, and waits for
// a line on standard input. Then it prints a line of JSON for each row that there must have been, and
// ends. All of its threads that count have the same name, which is among the arguments.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
)

// ready is the first line.
type ready struct {
	Ready    bool     `json:"ready"`
	Snapshot bool     `json:"snapshot"`
	Args     []string `json:"args"`
	PID      int      `json:"pid"`
}

func main() {
	run := serve
	if os.Getenv(roleVar) != "" {
		run = serveChild
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "workload:", err)
		os.Exit(1)
	}
}

func serve() error {
	name := fmt.Sprintf("snap-%d", os.Getpid())
	var rows []Row
	for _, r := range roles() {
		c, err := start(r, name)
		if err != nil {
			return fmt.Errorf("process %s: %w", r.name, err)
		}
		defer c.stop()
		more, err := c.rows()
		if err != nil {
			return fmt.Errorf("process %s: %w", r.name, err)
		}
		rows = append(rows, more...)
	}
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(ready{Ready: true, Snapshot: true, Args: []string{"--threads", "--comm", name}, PID: os.Getpid()}); err != nil {
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
