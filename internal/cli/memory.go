// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"runtime/debug"
	"time"
)

const (
	// startPercent is the garbage collector's setting for the start of a run: it does not begin before there are 12 MiB, which few
	// gadgets take. To collect garbage meanwhile would take a tenth of the start's processor time, and all is given back at its
	// end. On kernels before 6.16, whose types the library reads into memory, there are more.
	startPercent = 300
	// settleTime is how long after its start a run gives back what attaching took: the first events should come out before.
	settleTime = 100 * time.Millisecond
)

// memory is how the process uses memory while a run starts.
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
