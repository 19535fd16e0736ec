// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package heap

import (
	"runtime/debug"
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/memory"
)

// A start limits the memory, and afterwards the settings are as before.
func TestStartLimitsMemory(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	percent := debug.SetGCPercent(100)
	defer debug.SetGCPercent(percent)
	start := Begin()
	if got, most := debug.SetMemoryLimit(-1), int64(memory.Available()/startShare); got > most {
		t.Errorf("the limit is %d, and a share of the memory is %d", got, most)
	}
	start.End()
	if limit, percent := debug.SetMemoryLimit(-1), debug.SetGCPercent(100); limit != before || percent != 100 {
		t.Errorf("afterwards the limit is %d, want %d, and the percentage %d, want 100", limit, before, percent)
	}
}
