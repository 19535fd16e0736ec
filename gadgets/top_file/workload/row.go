// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// Row is what top_file has to say of a thread and a file, as far as it can be known beforehand.
type Row struct {
	Proc   workload.Proc `json:"proc"`
	Reads  uint64        `json:"reads"`
	Writes uint64        `json:"writes"`
	RBytes uint64        `json:"rbytes_raw"`
	WBytes uint64        `json:"wbytes_raw"`
	Type   string        `json:"t"`
	File   string        `json:"file,omitempty"` // sockets have names that depend on the kernel
	*ID
}

// ID is the file's identity. File systems that are made of others show one that is not theirs; it is
// left out there.
type ID struct {
	Inode uint64 `json:"inode"`
	Dev   uint64 `json:"dev"`
}

// typeOf is the letter for a mode.
func typeOf(mode uint32) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return "R"
	case unix.S_IFSOCK:
		return "S"
	}
	return "O"
}
