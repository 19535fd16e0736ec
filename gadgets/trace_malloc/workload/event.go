// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import "github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"

// Event is an event of trace_malloc, with the fields that are known in advance.
type Event struct {
	Proc         workload.Proc `json:"proc"`
	Operation    string        `json:"operation"`
	OperationRaw uint32        `json:"operation_raw"`
	Addr         *uint64       `json:"addr,omitempty"`
	Size         *uint64       `json:"size,omitempty"`
}

// The operations, each at the place of its number.
var operations = []string{
	"malloc", "free", "calloc", "realloc", "realloc_free", "mmap", "munmap", "posix_memalign", alignedAlloc, "valloc",
	memalign, "pvalloc", "mremap", "mremap_unmap", "munmap_failed",
}

const (
	alignedAlloc = "aligned_alloc"
	memalign     = "memalign"
)
