// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import "github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"

// Event is an event of trace_fsslower, with the fields that are known in advance.
type Event struct {
	Proc  workload.Proc `json:"proc"`
	Op    string        `json:"op"`
	OpRaw uint32        `json:"op_raw"`
	workload.Outcome
	Offset int64  `json:"offset"`
	Size   uint64 `json:"size"`
	File   string `json:"file"`
}

// op is an operation, by its number.
type op uint32

const (
	opRead op = iota
	opWrite
	opOpen
	opFsync
	opStatfs
)

var opNames = [...]string{"F_READ", "F_WRITE", "F_OPEN", "F_FSYNC", "F_STATFS"}
