// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import "github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"

// Event is an event of trace_capabilities, with the fields that are known in advance.
type Event struct {
	Proc            workload.Proc `json:"proc"`
	Cap             string        `json:"cap"`
	CapRaw          int           `json:"cap_raw"`
	Capable         bool          `json:"capable"`
	Audit           *int          `json:"audit,omitempty"`
	InSetID         *int          `json:"insetid,omitempty"`
	CapEffectiveRaw uint64        `json:"cap_effective_raw"`
	CurrentUserns   uint64        `json:"current_userns"`
	TargetUserns    uint64        `json:"target_userns"`
	Syscall         string        `json:"syscall"`
	SyscallRaw      uint64        `json:"syscall_raw"`
}
