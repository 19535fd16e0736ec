// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// A host that nothing watches any more leaves nothing running, and can be watched again.
func TestWatchEndsWithTheLastWatcher(t *testing.T) {
	t.Parallel()
	h := New()
	for range 3 {
		first, second := h.Watch(), h.Watch()
		watch := h.watch
		if watch == nil {
			t.Fatal("the kernel cannot report steps of the clock")
		}
		first()
		first() // once more does no harm
		if h.watch != watch {
			t.Fatal("the watch ended with the first of two watchers")
		}
		second()
		if h.watch != nil {
			t.Fatal("the clock is watched still")
		}
		select {
		case <-watch.ended:
		default:
			t.Fatal("the watch runs still")
		}
	}
}

// A step is noticed when it happens, and dated to the system call that made it. The test sets the clock some milliseconds
// forwards and back.
func TestStepsAreDated(t *testing.T) {
	kerneltest.RequireRoot(t)
	h := New()
	defer h.Watch()()
	defer setBack(t)()
	exact := 0
	const steps = 10
	for i := range steps {
		by := 5 * time.Millisecond
		if i%2 == 1 {
			by = -by
		}
		time.Sleep(10 * time.Millisecond)
		last := h.Clock().Last()
		begin, end := setClock(t, by)
		for deadline := time.Now().Add(5 * time.Second); h.Clock().Last() == last; {
			if time.Now().After(deadline) {
				t.Fatal("the step was not noticed")
			}
			time.Sleep(100 * time.Microsecond)
		}
		noticed := now(unix.CLOCK_BOOTTIME)
		got := h.Clock().Last()
		if moved := time.Duration(got.Offset - last.Offset); moved.Round(time.Millisecond) != by {
			t.Errorf("a step by %v moved the clock by %v", by, moved)
		}
		if at := int64(got.Boot); at >= begin-clockTolerance && at <= end {
			exact++
		} else if at < begin-2*h.tick || at > noticed {
			t.Errorf("the step between %d and %d, which was noticed by %d, has the time %d", begin, end, noticed, at)
		}
	}
	// On a machine whose processors are all busy the kernel may be late.
	if exact < steps/2 {
		t.Errorf("%d of %d steps have the time of the call that made them", exact, steps)
	}
}

// setClock sets the clock forwards by d, and returns the times since boot before and after that.
func setClock(t *testing.T, d time.Duration) (begin, end int64) {
	t.Helper()
	wall := unix.NsecToTimespec(time.Now().Add(d).UnixNano())
	begin = now(unix.CLOCK_BOOTTIME)
	if err := unix.ClockSettime(unix.CLOCK_REALTIME, &wall); err != nil {
		kerneltest.Missing(t, "the clock cannot be set: %v", err)
	}
	return begin, now(unix.CLOCK_BOOTTIME)
}

// setBack returns a function that undoes all later steps of the clock.
func setBack(t *testing.T) func() {
	before := readClocks(0).offset
	return func() {
		if near(readClocks(0).offset, before) {
			return
		}
		wall := unix.NsecToTimespec(now(unix.CLOCK_BOOTTIME) + before)
		if err := unix.ClockSettime(unix.CLOCK_REALTIME, &wall); err != nil {
			t.Errorf("the clock stays %v off: %v", time.Duration(readClocks(0).offset-before), err)
		}
	}
}

func TestParseWaits(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][2]int64{
		"":                         {},
		"10 20\n":                  {},
		"5016013 2102571 7\n":      {2102571, 7},
		"5016013 x 7\n":            {},
		"5016013 2102571 much\n":   {},
		"0 0 0\n":                  {},
		"1 18446744073709551615 1": {},
	} {
		if delay, runs := parseWaits([]byte(text)); int64(delay) != want[0] || runs != want[1] {
			t.Errorf("%q: %d, %d, want %v", text, delay, runs, want)
		}
	}
}

// The kernel keeps an account of each thread; a missing account reads as 0.
func TestWaitsOfThisThread(t *testing.T) {
	t.Parallel()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	s, none := openWaits(), &waits{-1}
	defer s.close()
	defer none.close()
	if _, runs := s.read(); runs == 0 {
		t.Error("the thread was never given a processor")
	}
	if delay, runs := none.read(); delay != 0 || runs != 0 {
		t.Errorf("no account: %v, %d", delay, runs)
	}
}
