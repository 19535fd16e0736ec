// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestReadingIsExact(t *testing.T) {
	t.Parallel()
	r := readClocks(0)
	boot, wall := now(unix.CLOCK_BOOTTIME), time.Now().UnixNano()
	if d := time.Duration(wall - boot - r.offset); d < -time.Second || d > time.Second {
		t.Errorf("the boot clock's time differs by %v from the wall clock's", d)
	}
	if d := time.Duration(boot - r.boot); d < 0 || d > time.Minute {
		t.Errorf("the reading was %v ago", d)
	}
	if d := time.Duration(r.boot - r.updated); d < 0 || d > time.Second {
		t.Errorf("the kernel brought its clocks up to date %v before the reading", d)
	}
	if shifted := readClocks(int64(time.Hour)); time.Duration(shifted.offset-r.offset).Round(time.Minute) != time.Hour {
		t.Errorf("a boot clock that is an hour ahead: the offset is %v more", time.Duration(shifted.offset-r.offset))
	}
}

// The step is the last update of the kernel's clocks that is no later than the notice, with some tolerance.
func TestMomentOfAStep(t *testing.T) {
	t.Parallel()
	const tick = 4000
	for _, c := range []struct {
		name                         string
		boot, updated, noticed, tick int64
		want                         uint64
	}{
		{"noticed at once", 100_050, 100_000, 30, tick, 100_000},
		{"no tick since", 103_900, 100_000, 0, tick, 100_000},
		{"read late, noticed at once", 108_500, 108_000, 8_480, tick, 100_000},
		{"two ticks, and nothing known of the notice", 108_500, 108_000, 0, tick, 108_000},
		{"the notice seems to come before the step", 100_050, 100_000, 900, tick, 100_000},
		{"the notice comes a tick early", 100_050, 100_000, 1100, tick, 96_000},
		{"ticks are unknown", 108_500, 108_000, 8_480, 0, 108_000},
		{"not before the boot", 50, 20, 8_480, tick, 1},
	} {
		r := reading{boot: c.boot, updated: c.updated}
		if got := r.stepMoment(c.noticed, c.tick); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

// An interrupted reading of two clocks is too small; a single uninterrupted reading is enough.
func TestSteadyLead(t *testing.T) {
	t.Parallel()
	leads := []int64{-900, -5, -7000, -6, -800}
	if got := steadyLead(func() int64 { l := leads[0]; leads = leads[1:]; return l }); got != -5 {
		t.Errorf("got %d", got)
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
