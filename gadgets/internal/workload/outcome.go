// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package workload

import "golang.org/x/sys/unix"

// Outcome is the result of a call, for embedding in an event: an error with its name and its number, or
// neither.
type Outcome struct {
	Error    string `json:"error"`
	ErrorRaw uint32 `json:"error_raw"`
}

// OutcomeOf describes an error of the system, or 0 for a success.
func OutcomeOf(errno unix.Errno) Outcome {
	if errno == 0 {
		return Outcome{}
	}
	return Outcome{Error: unix.ErrnoName(errno), ErrorRaw: uint32(errno)}
}
