// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package heap controls how the process uses memory while a run starts.
package heap

import (
	"runtime/debug"
	"time"
)

const (
	// startPercent is the garbage collector's setting for the start of a run: it does not run below 12 MiB, which few
	// gadgets exceed. Collecting garbage during the start would take a tenth of its processor time, and gizmo releases the memory at its
	// end anyway. On kernels before 6.16 a start takes more, because the library reads the kernel's types into memory.
	startPercent = 300
	// settleTime is how long after its start a run releases the memory of attaching: the first events should appear before.
	settleTime = 100 * time.Millisecond
)

// Start is the start of a run.
type Start struct {
	percent int // the garbage collector's setting before
	settle  *time.Timer
}

// Begin makes the garbage collector rest.
func Begin() *Start {
	return &Start{percent: debug.SetGCPercent(startPercent)}
}

// Over is called when the run has begun. A moment later the process releases what the start has left.
func (s *Start) Over() {
	s.settle = time.AfterFunc(settleTime, func() {
		debug.SetGCPercent(s.percent)
		debug.FreeOSMemory()
	})
}

// End is called when the run has ended, whether it had begun or not.
func (s *Start) End() {
	if s.settle == nil || s.settle.Stop() {
		debug.SetGCPercent(s.percent)
	}
}
