// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package workload

import "golang.org/x/sys/unix"

// Result is what a call came to, for an event to embed: an error with its name and its number, or
// neither.
type Result struct {
	Error    string `json:"error"`
	ErrorRaw uint32 `json:"error_raw"`
}

// ResultOf describes an error of the system, or 0 for a success.
func ResultOf(errno unix.Errno) Result {
	if errno == 0 {
		return Result{}
	}
	return Result{Error: unix.ErrnoName(errno), ErrorRaw: uint32(errno)}
}
