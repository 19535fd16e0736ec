// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// Row is a row of top_file, with the fields that are known in advance.
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

// ID is the file's identity. It is left out for file systems on top of others, because stat may show another
// identity there.
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
