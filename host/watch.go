// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"bytes"
	"errors"
	"math"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// clockWatch waits for the clock to be set, without polling it. It has its own thread, which sleeps in the
// kernel: so the kernel knows when that thread ran, and how long it had to wait for a processor, however late Go's
// scheduler continues it.
type clockWatch struct {
	timer   int
	closing atomic.Bool
	ended   chan struct{}
}

// watchClock calls changed whenever the clock has been set, with the time since the kernel reported it, until close. It
// returns nil if the kernel cannot report it. It opens no file later, because that would cause an event.
func watchClock(changed func(ago time.Duration)) *clockWatch {
	timer, err := unix.TimerfdCreate(unix.CLOCK_REALTIME, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return nil
	}
	// A timer that never expires; only a step of the clock ends it.
	never := unix.ItimerSpec{Value: unix.Timespec{Sec: math.MaxInt32}}
	if err := unix.TimerfdSettime(timer, unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET, &never, nil); err != nil {
		unix.Close(timer)
		return nil
	}
	w := &clockWatch{timer: timer, ended: make(chan struct{})}
	begun := make(chan struct{})
	go w.run(begun, changed)
	<-begun
	return w
}

func (w *clockWatch) run(begun chan<- struct{}, changed func(ago time.Duration)) {
	defer close(w.ended)
	runtime.LockOSThread() // and it ends with the goroutine
	beQuick()
	waits := openWaits()
	defer waits.close()
	close(begun)
	var expirations [8]byte
	for {
		ago, err := w.wait(waits)
		if errors.Is(err, unix.EINTR) {
			time.Sleep(afterSignal)
			continue
		}
		if err != nil || w.closing.Load() {
			return
		}
		if _, err := unix.Read(w.timer, expirations[:]); errors.Is(err, unix.ECANCELED) {
			changed(ago)
		}
	}
}

// afterSignal is how long to stay out of system calls after a signal has interrupted one. Giving up capabilities sends signals to all
// threads, some forty times in a few milliseconds, and stops all goroutines each time. A thread that enters a system call
// at that very moment can keep Go's runtime waiting until the call returns: docs/RATIONALE.md.
const afterSignal = 20 * time.Millisecond

// beQuick makes the kernel run the calling thread before others, if it is allowed to (CAP_SYS_NICE): the thread runs for some
// microseconds, and only when the clock was set.
func beQuick() {
	_ = unix.SchedSetAttr(0, &unix.SchedAttr{
		Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1, Flags: unix.SCHED_FLAG_RESET_ON_FORK,
	}, 0)
}

// longest is how long a wait lasts at most: some 34 years.
const longest = int64(1 << 30)

// wait waits for the timer, and returns how long ago the kernel woke up the thread. When the thread runs again the kernel reports the
// rest of the timeout, before Go's scheduler can delay the thread.
func (w *clockWatch) wait(waits *waits) (ago time.Duration, err error) {
	delay, runs := waits.read()
	begin := now(unix.CLOCK_MONOTONIC)
	rest := unix.Timespec{Sec: longest}
	poll := []unix.PollFd{{Fd: int32(w.timer), Events: unix.POLLIN}}
	if _, err := unix.Ppoll(poll, &rest, nil); err != nil {
		return 0, err
	}
	ran := begin + longest*1e9 - rest.Nano()
	ago = time.Duration(now(unix.CLOCK_MONOTONIC) - ran)
	delayNow, runsNow := waits.read()
	if runsNow == runs+1 { // otherwise the thread also waited for a processor at another time
		ago += delayNow - delay
	}
	return ago, nil
}

// close ends the watch. After close the watch does not call its function any more.
func (w *clockWatch) close() {
	w.closing.Store(true)
	atOnce := unix.ItimerSpec{Value: unix.Timespec{Nsec: 1}}
	_ = unix.TimerfdSettime(w.timer, 0, &atOnce, nil) // which has nothing to fail with
	<-w.ended
	unix.Close(w.timer)
}

// waits is the kernel's account of how long a thread waited for a processor: see proc_pid_schedstat(5).
type waits struct{ fd int }

// openWaits returns the account of the calling thread. If the kernel has none, its values are 0.
func openWaits() *waits {
	fd, err := unix.Open("/proc/thread-self/schedstat", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		fd = -1
	}
	return &waits{fd}
}

// read returns how long the thread has waited in all, and how often it got a processor.
func (s *waits) read() (delay time.Duration, runs int64) {
	var text [96]byte
	n, err := unix.Pread(s.fd, text[:], 0)
	if err != nil {
		return 0, 0
	}
	return parseWaits(text[:n])
}

// parseWaits reads "RUNNING WAITING RUNS", the first two in nanoseconds.
func parseWaits(text []byte) (delay time.Duration, runs int64) {
	words := bytes.Fields(text)
	if len(words) != 3 {
		return 0, 0
	}
	waited, err := strconv.ParseInt(string(words[1]), 10, 64)
	if err != nil {
		return 0, 0
	}
	runs, err = strconv.ParseInt(string(words[2]), 10, 64)
	if err != nil {
		return 0, 0
	}
	return time.Duration(waited), runs
}

func (s *waits) close() {
	if s.fd >= 0 {
		unix.Close(s.fd)
	}
}
