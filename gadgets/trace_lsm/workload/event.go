// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import "github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"

// Event is an event of trace_lsm, with the fields that are known in advance.
type Event struct {
	Proc       workload.Proc `json:"proc"`
	Tracepoint string        `json:"tracepoint"`
}

// The hooks that are traced. Go's runtime does not make the kernel call them.
var hooks = []string{
	"file_open", "path_mkdir", "inode_mkdir", "path_rename", "inode_rename", "path_unlink", "inode_unlink",
	"path_rmdir", "inode_rmdir", "path_symlink", "inode_symlink", "inode_readlink",
	"socket_create", "socket_bind", "socket_connect", "socket_listen", "socket_shutdown",
	"bprm_creds_for_exec", "bprm_check_security", "task_prctl", "task_setnice", "task_getpgid", "task_getsid",
}
