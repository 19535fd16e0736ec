// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

// Event is what trace_capabilities has to say of a check, as far as it can be known beforehand.
type Event struct {
	Proc            Proc   `json:"proc"`
	Cap             string `json:"cap"`
	CapRaw          int    `json:"cap_raw"`
	Capable         bool   `json:"capable"`
	Audit           *int   `json:"audit,omitempty"`
	InSetID         *int   `json:"insetid,omitempty"`
	CapEffectiveRaw uint64 `json:"cap_effective_raw"`
	CurrentUserns   uint64 `json:"current_userns"`
	TargetUserns    uint64 `json:"target_userns"`
	Syscall         string `json:"syscall"`
	SyscallRaw      uint64 `json:"syscall_raw"`
}

// Proc is who was checked.
type Proc struct {
	Comm    string `json:"comm"`
	PID     int    `json:"pid"`
	TID     int    `json:"tid"`
	MntnsID uint64 `json:"mntns_id"`
	Creds   Creds  `json:"creds"`
	Parent  Parent `json:"parent"`
}

// Creds are the real ids.
type Creds struct {
	UID int `json:"uid"`
	GID int `json:"gid"`
}

// Parent is the process that started it.
type Parent struct {
	PID int `json:"pid"`
}
