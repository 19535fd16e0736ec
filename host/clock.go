// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"bytes"
	"math"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// reading has the values of the kernel's clocks at one moment, in nanoseconds.
type reading struct {
	boot   int64 // since boot, as BPF programs read it
	offset int64 // from that to Unix time
	// updated is when the kernel last updated its clocks, since boot. It updates them at each tick, which counts from the
	// last step of the clock, and at the step itself.
	updated int64
}

// clockTolerance is the difference below which two readings count as equal: reading two clocks one after the other is not
// exact.
const clockTolerance = int64(50 * time.Microsecond)

// readClocks reads the clocks a few times and returns the best reading, which is the fastest. It repeats a reading that
// was interrupted. shift is that of namespaceShift.
func readClocks(shift int64) reading {
	var best reading
	least := int64(math.MaxInt64)
	for i := 0; i < 5 || least > clockTolerance && i < 1000; i++ {
		before := now(unix.CLOCK_REALTIME)
		boot := now(unix.CLOCK_BOOTTIME) - shift
		updated := now(unix.CLOCK_REALTIME_COARSE)
		after := now(unix.CLOCK_REALTIME)
		if took := after - before; took >= 0 && took < least {
			least = took
			// The second of four, which take the same time.
			offset := before + took/3 - boot
			best = reading{boot: boot, offset: offset, updated: updated - offset}
		}
	}
	return best
}

// now reads a clock of the kernel.
func now(id int32) int64 {
	var t unix.Timespec
	_ = unix.ClockGettime(id, &t) // it fails for unknown clocks only
	return t.Nano()
}

// tickLength returns the time between two ticks of the kernel.
func tickLength() int64 {
	var t unix.Timespec
	_ = unix.ClockGetres(unix.CLOCK_REALTIME_COARSE, &t)
	return t.Nano()
}

// stepMoment returns when the clock was set, in nanoseconds since boot, if that was before this reading and the notice came that long before it.
// Updates of the kernel's clocks are whole ticks behind the step: the step is the last of them that precedes the notice. The
// notice may appear a little too early.
func (r *reading) stepMoment(noticed, tick int64) uint64 {
	latest := r.boot - noticed + tick/4
	at := r.updated
	if at > latest && tick > 0 {
		at -= (at - latest + tick - 1) / tick * tick
	}
	return uint64(max(at, 1))
}

// wallLead returns by how much the wall clock is ahead of Go's monotonic clock since the first call. It takes one call of the
// vDSO, so it is far cheaper than reading the boot clock. It changes if the clock is set, and if the machine was suspended.
// An interrupted reading is too small.
func (s goClock) wallLead() int64 {
	t := time.Now()
	return t.UnixNano() - s.start.UnixNano() - int64(t.Sub(s.start))
}

// steadyLead returns wallLead without the error of interruptions.
func steadyLead(lead func() int64) int64 {
	best := lead()
	for range 4 {
		best = max(best, lead())
	}
	return best
}

// goClock has the clocks of package time.
type goClock struct{ start time.Time }

// namespaceShift returns by how much the time namespace of this process shifts its boot clock, in nanoseconds. BPF
// programs read the clock of the host, which is not shifted.
func namespaceShift() int64 {
	data, err := os.ReadFile("/proc/self/timens_offsets") // since Linux 5.6; a few lines
	if err != nil {
		return 0
	}
	return parseShift(data)
}

// parseShift reads the kernel's list of a time namespace's offsets: "boottime SECONDS NANOSECONDS".
func parseShift(data []byte) int64 {
	for line := range bytes.Lines(data) {
		words := bytes.Fields(line)
		if len(words) != 3 || string(words[0]) != "boottime" {
			continue
		}
		seconds, err := strconv.ParseInt(string(words[1]), 10, 64)
		if err != nil {
			return 0
		}
		nanoseconds, err := strconv.ParseInt(string(words[2]), 10, 64)
		if err != nil {
			return 0
		}
		return seconds*1e9 + nanoseconds
	}
	return 0
}
