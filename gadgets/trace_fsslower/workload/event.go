// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

// Event is what trace_fsslower has to say of an operation, as far as it can be known beforehand.
type Event struct {
	Proc     Proc   `json:"proc"`
	Op       string `json:"op"`
	OpRaw    uint32 `json:"op_raw"`
	Error    string `json:"error"`
	ErrorRaw uint32 `json:"error_raw"`
	Offset   int64  `json:"offset"`
	Size     uint64 `json:"size"`
	File     string `json:"file"`
}

// Proc is who called.
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

// Parent is the process that started the workload.
type Parent struct {
	PID int `json:"pid"`
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
