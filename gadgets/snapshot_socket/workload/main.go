// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload has sockets in all the states that snapshot_socket has to tell apart.
//
//	workload DIR
//
// It makes sockets on the loopback interface, writes a line {"ready": true, "snapshot": true, "args":
// […], "pid": …} to standard output, with the arguments that snapshot_socket is to be run with
// meanwhile, and waits for a line on standard input. Then it prints a line of JSON for each socket, and
// ends.
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
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "workload:", err)
		os.Exit(1)
	}
}

func serve() error {
	m, err := newMaker()
	if err != nil {
		return err
	}
	if err := m.makeAll(); err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	if err := out.Encode(ready{Ready: true, Snapshot: true, Args: []string{"--filter-expr", m.filter()}, PID: os.Getpid()}); err != nil {
		return err
	}
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return fmt.Errorf("wait for the snapshot: %w", err)
	}
	for i := range m.rows {
		if err := out.Encode(&m.rows[i]); err != nil {
			return err
		}
	}
	return nil
}
