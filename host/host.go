// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package host knows the machine: the offset from its boot clock to wall time, and the names of its users and
// groups. All runs of a process share one [Host].
package host

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gizmo-ebpf/gizmo/clock"
	"github.com/gizmo-ebpf/gizmo/host/userdb"
)

// Host is this machine. All methods may be called by several goroutines at once.
type Host struct {
	users, groups *userdb.File
	clock         *clock.History
	tick          int64          // of the kernel's clocks, in nanoseconds
	read          func() reading // reads them
	lead          func() int64   // see wallLead
	// seen is the value of lead at the last reading of the clocks.
	seen atomic.Int64

	mu       sync.Mutex // guards what follows
	watchers int
	watch    *clockWatch // while there are watchers; nil if the kernel cannot report steps
}

// New returns the Host of this machine.
func New() *Host {
	shift := namespaceShift() // read once, because opening files causes events
	h := newHost(func() reading { return readClocks(shift) }, goClock{time.Now()}.wallLead, tickLength())
	h.users, h.groups = userdb.Users(), userdb.Groups()
	return h
}

func newHost(read func() reading, lead func() int64, tick int64) *Host {
	h := &Host{read: read, lead: lead, tick: tick}
	h.seen.Store(steadyLead(lead))
	h.clock = clock.New(read().offset)
	return h
}

// Arch returns the machine's architecture in Go's spelling.
func (h *Host) Arch() string { return runtime.GOARCH }

// Users returns the names of the machine's users. They are kept current.
func (h *Host) Users() *userdb.File { return h.users }

// Groups returns the names of the machine's groups. They are kept current.
func (h *Host) Groups() *userdb.File { return h.groups }

// Clock returns the history that converts times since boot, as BPF programs read them, to Unix times. Watch and CheckClock
// add steps of the clock to it.
func (h *Host) Clock() *clock.History { return h.clock }

// Watch makes the host notice when the clock is set, until the caller calls the returned function. In between it uses no
// CPU. Watch also finds a step from before it was called.
func (h *Host) Watch() (stop func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watchers++
	if h.watch == nil {
		h.watch = watchClock(h.noticed)
		h.readAgain(0)
	}
	return sync.OnceFunc(h.unwatch)
}

func (h *Host) unwatch() {
	h.mu.Lock()
	h.watchers--
	var ended *clockWatch
	if h.watchers == 0 {
		ended, h.watch = h.watch, nil
	}
	h.mu.Unlock()
	if ended != nil {
		ended.close() // waits for noticed, which takes the lock
	}
}

// noticed is called when the clock may have been set, or the machine was suspended, and the kernel reported it some time ago.
func (h *Host) noticed(ago time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.readAgain(ago)
}

// readAgain reads the clocks, and remembers a step that was noticed some time ago.
func (h *Host) readAgain(noticed time.Duration) {
	lead := steadyLead(h.lead) // first, so that the next check finds a step in between
	r := h.read()
	h.take(&r, noticed)
	h.seen.Store(lead)
}

// take remembers a step that a reading shows, unless the reading is older than what is known.
func (h *Host) take(r *reading, noticed time.Duration) {
	last := h.clock.Last()
	if r.boot <= int64(last.Boot) || near(r.offset, last.Offset) {
		return
	}
	at := max(r.stepMoment(int64(noticed), h.tick), last.Boot+1)
	h.clock.Add(clock.Step{Boot: at, Offset: r.offset})
}

func near(a, b int64) bool {
	d := a - b
	return d > -clockTolerance && d < clockTolerance
}

// CheckClock makes sure that Clock has all steps up to now. Call it for received events before their times are
// written: Watch may notice a step later than the first events after it arrive. It takes one reading of
// Go's clock, and allocates nothing.
func (h *Host) CheckClock() {
	if near(h.lead(), h.seen.Load()) || h.isCurrent() {
		return
	}
	h.awaitNotice()
}

// isCurrent reports whether the clock has not changed since the last reading.
func (h *Host) isCurrent() bool { return near(steadyLead(h.lead), h.seen.Load()) }

// noticeTimeout is how long CheckClock waits for the watch to report when the clock was set.
const noticeTimeout = 20 * time.Millisecond

// awaitNotice is called when the clock may have been set and Watch has not noticed it. Watch knows the moment best, so it
// gets some time.
func (h *Host) awaitNotice() {
	first := h.read() // the clock may be set again
	for end := time.Now().Add(noticeTimeout); h.isWatched() && !h.isCurrent() && time.Now().Before(end); {
		time.Sleep(50 * time.Microsecond)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.take(&first, 0)
	h.readAgain(0)
}

func (h *Host) isWatched() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.watch != nil
}
