// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package clock turns times since boot, which BPF programs record, into Unix times. The offset between the two clocks
// changes whenever the wall clock is set, so a [History] remembers which offset was in effect when: a time from before
// a step keeps its date, however late the caller asks for it.
package clock

import (
	"slices"
	"sort"
	"sync"
	"sync/atomic"
)

// Step is a moment at which the wall clock was set, and the offset that applies after it.
type Step struct {
	// Boot is the moment, in nanoseconds since boot (CLOCK_BOOTTIME).
	Boot uint64
	// Offset is the difference between Unix time and the time since boot, in nanoseconds.
	Offset int64
}

// MaxSteps is how many steps a History remembers. A time from before the oldest gets the oldest's offset.
const MaxSteps = 4096

// History is the offsets of a machine's wall clock, by the time since boot. All methods may be called by several
// goroutines at once.
type History struct {
	mu     sync.Mutex // held while the history changes
	latest atomic.Pointer[state]
}

// state is a version of a history. It never changes.
type state struct {
	Step         // the last one
	steps []Step // all, in order
}

// New returns a history with one offset, which applies to all times.
func New(offset int64) *History {
	h := new(History)
	h.Reset(offset)
	return h
}

// OffsetAt returns what to add to a time since boot to get Unix time, in nanoseconds. It is fast and allocates nothing.
func (h *History) OffsetAt(boot uint64) int64 {
	if s := h.latest.Load(); boot >= s.Boot {
		return s.Offset
	}
	return h.before(boot)
}

// before returns the offset for a time before the last step.
func (h *History) before(boot uint64) int64 {
	steps := h.Steps()
	after := sort.Search(len(steps), func(i int) bool { return steps[i].Boot > boot })
	return steps[max(after-1, 0)].Offset
}

// Reset makes one offset apply to all times.
func (h *History) Reset(offset int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := Step{Offset: offset}
	h.latest.Store(&state{s, []Step{s}})
}

// Add adds a step. It returns false, and changes nothing, if the step is not later than the last one.
func (h *History) Add(step Step) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	steps := h.latest.Load().steps
	if step.Boot <= steps[len(steps)-1].Boot {
		return false
	}
	if len(steps) >= MaxSteps {
		steps = slices.Clone(steps[len(steps)-MaxSteps/2:])
	}
	// Published states do not change: append may write to spare room of the slice, but the published length stays.
	h.latest.Store(&state{step, append(steps, step)})
	return true
}

// Last returns the last step. Its Boot is 0 if there was none.
func (h *History) Last() Step { return h.latest.Load().Step }

// Steps returns all steps that the history remembers, in order. The offset of the first step also applies to all earlier times. The caller must not
// change them.
func (h *History) Steps() []Step { return h.latest.Load().steps }
