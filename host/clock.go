// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"bytes"
	"errors"
	"math"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// bootOffset returns the difference between Unix time and the kernel's CLOCK_BOOTTIME, in nanoseconds. It uses the best of a
// few readings: the one in which the two clocks were read closest together. shift is the result of namespaceShift.
func bootOffset(shift int64) int64 {
	var best, offset int64 = math.MaxInt64, 0
	for range 5 {
		var before, boot, after unix.Timespec
		_ = unix.ClockGettime(unix.CLOCK_REALTIME, &before)
		_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot)
		_ = unix.ClockGettime(unix.CLOCK_REALTIME, &after)
		if span := after.Nano() - before.Nano(); span >= 0 && span < best {
			best, offset = span, before.Nano()+span/2-(boot.Nano()-shift)
		}
	}
	return offset
}

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

// clockWatch waits for the clock to be set, without polling it.
type clockWatch struct {
	timer *os.File
	ended chan struct{}
}

// watchClock calls changed whenever the clock has been set, until close. It returns nil if the
// kernel does not report that.
func watchClock(changed func()) *clockWatch {
	fd, err := unix.TimerfdCreate(unix.CLOCK_REALTIME, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return nil
	}
	if err := waitForStep(fd); err != nil {
		unix.Close(fd)
		return nil
	}
	w := &clockWatch{timer: os.NewFile(uintptr(fd), "clock"), ended: make(chan struct{})}
	go w.run(changed)
	return w
}

// waitForStep sets a timer that expires only when the clock is set.
func waitForStep(fd int) error {
	never := unix.ItimerSpec{Value: unix.Timespec{Sec: math.MaxInt32}}
	return unix.TimerfdSettime(fd, unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET, &never, nil)
}

func (w *clockWatch) run(changed func()) {
	defer close(w.ended)
	var expirations [8]byte
	for {
		if _, err := w.timer.Read(expirations[:]); !errors.Is(err, unix.ECANCELED) {
			return // closed
		}
		changed()
	}
}

// close ends the watch. Its function does not run any more when close returns.
func (w *clockWatch) close() {
	w.timer.Close()
	<-w.ended
}
