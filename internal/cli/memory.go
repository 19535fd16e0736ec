// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

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

// memory controls how the process uses memory while a run starts.
type memory struct {
	percent int // the garbage collector's setting before
	settle  *time.Timer
}

func startMemory() *memory {
	return &memory{percent: debug.SetGCPercent(startPercent)}
}

// started is called when the run has begun.
func (m *memory) started() {
	m.settle = time.AfterFunc(settleTime, func() {
		debug.SetGCPercent(m.percent)
		debug.FreeOSMemory()
	})
}

// end is called when the run is over, whether it has begun or not.
func (m *memory) end() {
	if m.settle == nil || m.settle.Stop() {
		debug.SetGCPercent(m.percent)
	}
}
