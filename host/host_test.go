// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// If the machine's clock is set while gizmo runs, the texts and a recording follow it.
func TestHostFollowsClockSteps(t *testing.T) {
	t.Parallel()
	h := New()
	var told, other []int64
	defer h.OnClock(func(offset int64) { told = append(told, offset) })()
	stop := h.OnClock(func(offset int64) { other = append(other, offset) })
	start := h.BootOffset()
	for _, step := range []struct {
		by   time.Duration
		want time.Duration // from the start
	}{
		{300 * time.Microsecond, 0}, // the error of measuring
		{-300 * time.Microsecond, 0},
		{time.Hour, time.Hour},
		{time.Hour + 999*time.Microsecond, time.Hour},
		{-24 * time.Hour, -24 * time.Hour},
		{2 * time.Millisecond, 2 * time.Millisecond},
	} {
		before := len(told)
		was := h.BootOffset()
		h.mu.Lock()
		h.follow(start + int64(step.by))
		h.mu.Unlock()
		if got := time.Duration(h.BootOffset() - start); got != step.want {
			t.Errorf("a step to %v: the offset is %v, want %v", step.by, got, step.want)
		}
		if moved := h.BootOffset() != was; moved != (len(told) > before) {
			t.Errorf("a step to %v: the subscriber was told %d times; moved %v", step.by, len(told)-before, moved)
		}
	}
	stop()
	h.mu.Lock()
	h.follow(start)
	h.mu.Unlock()
	if len(told) != 4 || len(other) != 3 {
		t.Errorf("one was told %d times, and one that stopped listening before the last step %d times; want 4 and 3", len(told), len(other))
	}
}

func TestBootOffsetIsExact(t *testing.T) {
	t.Parallel()
	var boot unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	if d := now.Sub(time.Unix(0, boot.Nano()+bootOffset(0))); d < -time.Second || d > time.Second {
		t.Errorf("the boot clock's time differs by %v from the wall clock's", d)
	}
}

// After the last subscriber nothing runs any more, and a new subscriber starts the watch again.
func TestWatchEndsWithTheLastSubscriber(t *testing.T) {
	t.Parallel()
	h := New()
	for range 3 {
		h.OnClock(func(int64) {})()
		if h.watch != nil {
			t.Fatal("the clock is watched still")
		}
	}
}

// A step is noticed when it happens. The test sets the clock to the time that it has.
func TestClockIsWatched(t *testing.T) {
	kerneltest.RequireRoot(t)
	changed := make(chan struct{}, 10)
	w := watchClock(func() { changed <- struct{}{} })
	if w == nil {
		t.Fatal("the kernel cannot report steps of the clock")
	}
	defer w.close()
	now := unix.NsecToTimespec(time.Now().UnixNano())
	if err := unix.ClockSettime(unix.CLOCK_REALTIME, &now); err != nil {
		kerneltest.Missing(t, "the clock cannot be set: %v", err)
		return
	}
	select {
	case <-changed:
	case <-time.After(5 * time.Second):
		t.Error("the step was not noticed")
	}
}

func TestParseShift(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"":                                     0,
		"monotonic  0  0\nboottime  0  0\n":    0,
		"monotonic  5  0\nboottime  86400 7\n": 86400*1e9 + 7,
		"boottime  -3 500000000\n":             -2_500_000_000,
		"boottime  x 0\n":                      0,
		"boottime  1\n":                        0,
	} {
		if got := parseShift([]byte(text)); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}
