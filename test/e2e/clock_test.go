// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// Events around a step of the wall clock have the time that the clock showed at each event, however close they are to the step: in a
// run, in a run that holds events back, and in the replay of the recordings.
func TestClockSteps(t *testing.T) {
	kerneltest.RequireRoot(t)
	requireSettableClock(t)
	for name, flags := range map[string][]string{
		"as they come": nil,
		"held back":    {"--sort", "fname", "--sort-window", "500ms"},
	} {
		t.Run(name, func(t *testing.T) {
			// Where the processors are all busy the kernel wakes up gizmo too late to know the step's moment. Other tests run meanwhile.
			const attempts = 5
			for i := range attempts {
				wrong := stepTheClock(t, flags)
				if len(wrong) == 0 {
					return
				}
				if t.Logf("attempt %d: %s", i+1, strings.Join(wrong, "\n")); i < attempts-1 {
					time.Sleep(3 * time.Second)
				}
			}
			t.Error("all attempts have events with wrong dates")
		})
	}
}

// stepTheClock runs a gadget while the clock is set, and returns which events have wrong dates.
func stepTheClock(t *testing.T, flags []string) (wrong []string) {
	t.Helper()
	defer setClockBack(t)()
	recording := filepath.Join(readableDir(t), "recording")
	s := startOnCommand(t, helperStepper)
	g := start(t, setup{}, append([]string{"run", "trace_open", "-o", "json", "--pid", s.pid(), "--record", recording}, flags...)...)
	g.waitAttached(t)
	s.begin(t, 6, "3s")
	eventually(t, "set the clock", func() bool { return strings.Count(s.out.String(), "done\n") == s.done })
	g.interrupt(t)
	opens := parseOpens(t, s.out.String())
	if len(opens) != 6*4 {
		t.Fatalf("the helper opened %d files:\n%s", len(opens), s.out.String())
	}
	wrong = wrongDates(t, g.out.String(), opens)
	giveToNobody(t, recording)
	r := run(t, setup{user: nobody}, "replay", recording, "-o", "json")
	r.wantExit(t, 0)
	wantSame(t, "the replay", r.out.String(), g.out.String())
	return wrong
}

// timedOpen is a file that the stepper opened, with the wall clock before and after that.
type timedOpen struct {
	before, after int64
	isClose       bool // to the step
}

// wrongDates compares the times of events with those that the wall clock showed, and says which are wrong.
func wrongDates(t *testing.T, output string, opens map[string]timedOpen) (wrong []string) {
	t.Helper()
	const exact = int64(50 * time.Microsecond) // reading two clocks
	off := 0
	for _, e := range parseEvents(t, output) {
		o, known := opens[e.get("fname")]
		if !known {
			t.Errorf("unexpected event: %s", e)
			continue
		}
		delete(opens, e.get("fname"))
		at, err := strconv.ParseInt(e.get("timestamp_raw"), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if at >= o.before-exact && at <= o.after+exact {
			continue
		}
		off++
		if !o.isClose {
			wrong = append(wrong, fmt.Sprintf("%s: it was not opened close to a step, and is dated %v wrong", e.get("fname"), time.Duration(at-o.before)))
		}
	}
	for name := range opens {
		t.Errorf("no event of %s", name)
	}
	// Where the processors are all busy the kernel may wake up gizmo too late to know the step's moment exactly.
	if off > 3 {
		wrong = append(wrong, fmt.Sprintf("%d events have the time of the other side of a step, and 12 are close to one", off))
	}
	return wrong
}

// parseOpens parses the output of the stepper: "PATH BEFORE AFTER" for each file.
func parseOpens(t *testing.T, text string) map[string]timedOpen {
	t.Helper()
	opens := make(map[string]timedOpen)
	for line := range strings.Lines(text) {
		var name string
		var o timedOpen
		if n, _ := fmt.Sscan(line, &name, &o.before, &o.after); n == 3 {
			o.isClose = strings.Contains(name, "close")
			opens[name] = o
		}
	}
	return opens
}

// stepOnCommand sets the wall clock forwards and back: for each command "COUNT DURATION" so often by so much. Shortly before and
// after each step, and right before and after it, it opens a file.
func stepOnCommand(in io.Reader, out io.Writer) error {
	runtime.LockOSThread()
	var failed error
	err := serve(in, out, func(n int, word string) {
		if n == 0 {
			return
		}
		by, err := time.ParseDuration(word)
		failed = errors.Join(failed, err)
		for i := range n {
			failed = errors.Join(failed, stepBetweenOpens(out, i, by))
			by = -by
		}
	})
	return errors.Join(err, failed)
}

// stepBetweenOpens opens two files, sets the clock and opens two others.
func stepBetweenOpens(out io.Writer, step int, by time.Duration) error {
	names := [4]string{"1-far", "2-close", "3-close", "4-far"}
	var times [4]timedOpen
	for i := range names {
		names[i] = fmt.Sprintf("/proc/nonexistent/%d-%s", step, names[i])
	}
	open := func(i int) {
		times[i].before = wallClock()
		openAndClose(names[i])
		times[i].after = wallClock()
	}
	open(0)
	time.Sleep(30 * time.Millisecond)
	open(1)
	err := setWallClock(wallClock() + int64(by))
	open(2)
	time.Sleep(30 * time.Millisecond)
	open(3)
	for i, name := range names {
		fmt.Fprintln(out, name, times[i].before, times[i].after)
	}
	return err
}

func wallClock() int64 { return readClock(unix.CLOCK_REALTIME) }

func readClock(id int32) int64 {
	var now unix.Timespec
	_ = unix.ClockGettime(id, &now)
	return now.Nano()
}

func setWallClock(ns int64) error {
	at := unix.NsecToTimespec(ns)
	return unix.ClockSettime(unix.CLOCK_REALTIME, &at)
}

// requireSettableClock sets the clock to the time that it has.
func requireSettableClock(t *testing.T) {
	t.Helper()
	if err := setWallClock(wallClock()); err != nil {
		kerneltest.Missing(t, "the clock cannot be set: %v", err)
	}
}

// setClockBack returns a function that undoes all later steps of the clock.
func setClockBack(t *testing.T) func() {
	offset := wallClock() - readClock(unix.CLOCK_BOOTTIME)
	return func() {
		if err := setWallClock(readClock(unix.CLOCK_BOOTTIME) + offset); err != nil {
			t.Errorf("the clock stays as it is: %v", err)
		}
	}
}
