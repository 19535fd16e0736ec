// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import "github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"

// Event is an event of trace_open, with the fields that are known in advance.
type Event struct {
	Proc workload.Proc `json:"proc"`
	workload.Outcome
	FD             uint32 `json:"fd"`
	FlagsRaw       uint32 `json:"flags_raw"`
	ModeRaw        uint32 `json:"mode_raw"`
	Fname          string `json:"fname"`
	FnameTruncated bool   `json:"fname_truncated"`
	Fpath          string `json:"fpath"`
	FpathTruncated bool   `json:"fpath_truncated"`
}

// maxFname is the room in the record, without the terminating zero.
const maxFname = 511

func (e *Event) setFname(name string) {
	e.FnameTruncated = len(name) > maxFname
	e.Fname = name[:min(len(name), maxFname)]
}
