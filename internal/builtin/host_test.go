// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package builtin

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Somebody sets the machine's clock while gizmo runs: the texts follow it, and so does a recording.
func TestHostFollowsClockSteps(t *testing.T) {
	h := NewHost()
	defer h.Close()
	var told []int64
	h.OnClock = func(offset int64) { told = append(told, offset) }
	start := h.Env.BootOffset()
	for _, step := range []struct {
		by   time.Duration
		want time.Duration // from the start
	}{
		{300 * time.Microsecond, 0}, // what measuring takes
		{-300 * time.Microsecond, 0},
		{time.Hour, time.Hour},
		{time.Hour + 999*time.Microsecond, time.Hour},
		{-24 * time.Hour, -24 * time.Hour},
		{2 * time.Millisecond, 2 * time.Millisecond},
	} {
		before := len(told)
		was := h.Env.BootOffset()
		h.follow(start + int64(step.by))
		if got := time.Duration(h.Env.BootOffset() - start); got != step.want {
			t.Errorf("a step to %v: the offset is %v, want %v", step.by, got, step.want)
		}
		if moved := h.Env.BootOffset() != was; moved != (len(told) > before) {
			t.Errorf("a step to %v: OnClock was told %d times; moved %v", step.by, len(told)-before, moved)
		}
	}
}

// The offset turns the clock of the kernel's records into the time of day.
func TestBootOffsetIsExact(t *testing.T) {
	offset := bootOffset()
	var boot unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot); err != nil {
		t.Fatal(err)
	}
	now := time.Now().UnixNano()
	if d := time.Duration(now - boot.Nano() - offset); d < -time.Second || d > time.Second {
		t.Errorf("boot time and offset are off the time of day by %v", d)
	}
}
