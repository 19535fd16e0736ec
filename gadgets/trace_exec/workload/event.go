// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// Event is an event of trace_exec, with the fields that are known in advance.
type Event struct {
	Proc workload.Proc `json:"proc"` // after the call; no comm where kernels differ
	workload.Outcome
	ArgsCount      int    `json:"args_count"`
	ArgsSize       int    `json:"args_size"`
	ArgsTruncated  bool   `json:"args_truncated"`
	LoginUID       uint32 `json:"loginuid"`
	SessionID      uint32 `json:"sessionid"`
	Fname          string `json:"fname"`
	FnameTruncated bool   `json:"fname_truncated"`
	Args           string `json:"args"`
	Cwd            string `json:"cwd"`
	Exepath        string `json:"exepath"`
}

// The room in the record: bytes with the terminating zero.
const (
	roomComm  = 16
	roomFname = 512
	roomArgs  = 4096
)

// maxArgs is how many arguments of a failed call are looked at.
const maxArgs = 256

func (e *Event) setFname(name string) {
	e.FnameTruncated = len(name) > roomFname-1
	e.Fname = name[:min(len(name), roomFname-1)]
}

// setArgs is for a program that runs: all its arguments are counted.
func (e *Event) setArgs(args []string) {
	e.ArgsCount = len(args)
	e.ArgsSize = len(strings.Join(args, " ")) + 1
	e.ArgsTruncated = e.ArgsSize > roomArgs
	e.Args = joined(args)
}

// setCallArgs is for a call that failed: arguments after the end of the room are not read.
func (e *Event) setCallArgs(args []string) {
	for _, arg := range args {
		if e.ArgsCount == maxArgs || e.ArgsSize >= roomArgs {
			e.ArgsTruncated = true
			break
		}
		e.ArgsCount++
		e.ArgsSize += min(len(arg), roomArgs) + 1
	}
	e.ArgsTruncated = e.ArgsTruncated || e.ArgsSize > roomArgs
	e.Args = joined(args[:e.ArgsCount])
}

func joined(args []string) string {
	all := strings.Join(args, " ")
	return all[:min(len(all), roomArgs-1)]
}
