// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package heap controls how the process uses memory while a run starts.
package heap

import (
	"runtime/debug"
	"time"

	"github.com/gizmo-ebpf/gizmo/internal/memory"
)

const (
	// startPercent is the garbage collector's setting for the start of a run: it does not run below 12 MiB, which few
	// gadgets exceed. Collecting garbage during the start would take a tenth of its processor time, and gizmo releases the memory at its
	// end anyway. On kernels before 6.16 a start takes more, because the library reads the kernel's types into memory.
	startPercent = 300
	// settleTime is how long after its start a run releases the memory of attaching: the first events should appear before.
	settleTime = 100 * time.Millisecond
	// startShare is the part of the memory that this process may use which a start takes before the garbage collector runs all the same. Half of
	// it may be the buffer for events, which the kernel cannot take back: in a control group of 64 MiB it killed gizmo without this limit.
	startShare = 3
)

// Start is the start of a run.
type Start struct {
	// The garbage collector's settings before.
	percent int
	limit   int64
	code    []span
	settle  *time.Timer
}

// Begin makes the garbage collector rest, and gives up the pages of the program that only reading the command line has used.
func Begin() *Start {
	code := code()
	releaseCode(code)
	limit := debug.SetMemoryLimit(-1) // asks for it
	debug.SetMemoryLimit(min(limit, int64(memory.Available()/startShare)))
	return &Start{percent: debug.SetGCPercent(startPercent), limit: limit, code: code}
}

// restore makes the garbage collector work as before.
func (s *Start) restore() {
	debug.SetGCPercent(s.percent)
	debug.SetMemoryLimit(s.limit)
}

// Over is called when the run has begun. A moment later the process releases what the start has left.
func (s *Start) Over() {
	s.settle = time.AfterFunc(settleTime, func() {
		s.restore()
		debug.FreeOSMemory()
		releaseCode(s.code)
	})
}

// End is called when the run has ended, whether it had begun or not.
func (s *Start) End() {
	if s.settle == nil || s.settle.Stop() {
		s.restore()
	}
}
