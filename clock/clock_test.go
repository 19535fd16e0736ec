// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package clock_test

import (
	"math"
	"slices"
	"sync"
	"testing"

	"github.com/gizmo-ebpf/gizmo/clock"
)

// Each time gets the offset that was in effect, whatever came later.
func TestOffsetOfEachTime(t *testing.T) {
	t.Parallel()
	h := clock.New(-5)
	check := func(want map[uint64]int64) {
		t.Helper()
		for boot, offset := range want {
			if got := h.OffsetAt(boot); got != offset {
				t.Errorf("after %v: the offset at %d is %d, want %d", h.Steps(), boot, got, offset)
			}
		}
	}
	check(map[uint64]int64{0: -5, 1: -5, math.MaxUint64: -5})
	add(t, h, 100, 10)
	check(map[uint64]int64{0: -5, 99: -5, 100: 10, 101: 10, math.MaxUint64: 10})
	add(t, h, 101, -20)
	add(t, h, 200, 30)
	check(map[uint64]int64{0: -5, 99: -5, 100: 10, 101: -20, 199: -20, 200: 30, math.MaxUint64: 30})
	h.Reset(7)
	check(map[uint64]int64{0: 7, 150: 7, math.MaxUint64: 7})
	if last := h.Last(); last != (clock.Step{Offset: 7}) {
		t.Errorf("the last step is %v", last)
	}
}

func add(t *testing.T, h *clock.History, boot uint64, offset int64) {
	t.Helper()
	if !h.Add(clock.Step{Boot: boot, Offset: offset}) {
		t.Fatalf("the step at %d was refused", boot)
	}
}

func TestStepsAreInOrder(t *testing.T) {
	t.Parallel()
	h := clock.New(1)
	add(t, h, 100, 2)
	for _, boot := range []uint64{0, 99, 100} {
		if h.Add(clock.Step{Boot: boot, Offset: 3}) {
			t.Errorf("a step at %d was taken after one at 100", boot)
		}
	}
	if want := []clock.Step{{0, 1}, {100, 2}}; !slices.Equal(h.Steps(), want) {
		t.Errorf("the steps are %v, want %v", h.Steps(), want)
	}
}

// The oldest steps are forgotten, and the newest are right.
func TestManySteps(t *testing.T) {
	t.Parallel()
	h := clock.New(0)
	const n = 3*clock.MaxSteps + 10
	for i := range uint64(n) {
		add(t, h, 10+10*i, int64(i+1))
		if len(h.Steps()) > clock.MaxSteps {
			t.Fatalf("%d steps are remembered", len(h.Steps()))
		}
	}
	for i := uint64(n - clock.MaxSteps/2); i < n; i++ {
		if a, b := h.OffsetAt(10+10*i), h.OffsetAt(19+10*i); a != int64(i+1) || b != a {
			t.Fatalf("the offsets at both ends of step %d are %d and %d", i, a, b)
		}
	}
	if oldest := h.Steps()[0]; h.OffsetAt(0) != oldest.Offset || oldest.Offset == 0 {
		t.Errorf("the offset at the boot is %d, and that of the oldest step %d", h.OffsetAt(0), oldest.Offset)
	}
}

// Steps that were handed out stay as they are while others are added.
func TestStepsAreReadWhileTheyGrow(t *testing.T) {
	t.Parallel()
	h := clock.New(0)
	var readers sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				for _, s := range h.Steps() {
					if got := h.OffsetAt(s.Boot); got != int64(s.Boot) {
						t.Errorf("the offset at %d is %d", s.Boot, got)
						return
					}
				}
			}
		})
	}
	for i := range uint64(500) {
		h.Add(clock.Step{Boot: i + 1, Offset: int64(i + 1)})
	}
	close(stop)
	readers.Wait()
}

func TestOffsetCostsNoAllocation(t *testing.T) {
	h := clock.New(1)
	h.Add(clock.Step{Boot: 100, Offset: 2})
	var sum int64
	if n := testing.AllocsPerRun(100, func() { sum += h.OffsetAt(50) + h.OffsetAt(150) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkOffset(b *testing.B) {
	h := clock.New(1)
	h.Add(clock.Step{Boot: 100, Offset: 2})
	for name, boot := range map[string]uint64{"latest": 150, "earlier": 50} {
		b.Run(name, func(b *testing.B) {
			var sum int64
			for b.Loop() {
				sum += h.OffsetAt(boot)
			}
			_ = sum
		})
	}
}
