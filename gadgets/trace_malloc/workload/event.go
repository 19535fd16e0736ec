// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

// Event is what trace_malloc has to say of a call, as far as it can be known.
type Event struct {
	Proc         Proc    `json:"proc"`
	Operation    string  `json:"operation"`
	OperationRaw uint32  `json:"operation_raw"`
	Addr         *uint64 `json:"addr,omitempty"`
	Size         *uint64 `json:"size,omitempty"`
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

// Parent is the workload.
type Parent struct {
	Comm string `json:"comm"`
	PID  int    `json:"pid"`
}

// The operations, each at the place of its number.
var operations = []string{
	"malloc", "free", "calloc", "realloc", "realloc_free", "mmap", "munmap", "posix_memalign", alignedAlloc, "valloc",
	memalign, "pvalloc",
}

const (
	alignedAlloc = "aligned_alloc"
	memalign     = "memalign"
)
