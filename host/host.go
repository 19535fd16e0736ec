// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package host knows facts about the machine: the offset between its boot clock and wall time, and the names of
// its users and groups. All runs of a process share one [Host], which tells its subscribers when a fact changes.
package host

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gizmo-ebpf/gizmo/host/userdb"
)

// Host is this machine. All methods may be called by several goroutines at once.
type Host struct {
	users, groups *userdb.File
	shift         int64 // of this process's boot clock; read once, because opening files makes events
	offset        atomic.Int64

	mu          sync.Mutex // guards the fields below
	subscribers []*subscriber
	watch       *clockWatch // while there are subscribers
}

type subscriber struct{ tell func(offset int64) }

// New returns the host that this process runs on.
func New() *Host {
	h := &Host{users: userdb.Users(), groups: userdb.Groups(), shift: namespaceShift()}
	h.offset.Store(bootOffset(h.shift))
	return h
}

// Arch returns the machine's architecture in Go's spelling.
func (h *Host) Arch() string { return runtime.GOARCH }

// Users returns the names of the machine's users. They are kept current.
func (h *Host) Users() *userdb.File { return h.users }

// Groups returns the names of the machine's groups. They are kept current.
func (h *Host) Groups() *userdb.File { return h.groups }

// BootOffset returns the number of nanoseconds to add to a time since boot, as BPF programs read it, to get Unix
// time. It is quick and allocates nothing. While there is a subscriber it follows changes of the clock.
func (h *Host) BootOffset() int64 { return h.offset.Load() }

// OnClock calls tell with the new BootOffset whenever the clock is set, until the caller calls the returned
// function. It does not poll.
func (h *Host) OnClock(tell func(offset int64)) (stop func()) {
	s := &subscriber{tell}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.subscribers = append(h.subscribers, s)
	if h.watch == nil {
		h.watch = watchClock(h.lookAgain)
		h.follow(bootOffset(h.shift)) // the clock may have been set while there was no watch
	}
	return func() { h.forget(s) }
}

func (h *Host) forget(s *subscriber) {
	h.mu.Lock()
	h.subscribers = slices.DeleteFunc(h.subscribers, func(o *subscriber) bool { return o == s })
	var ended *clockWatch
	if len(h.subscribers) == 0 {
		ended, h.watch = h.watch, nil
	}
	h.mu.Unlock()
	if ended != nil {
		ended.close() // waits for lookAgain, which takes the lock
	}
}

// lookAgain is called when the clock may have been set.
func (h *Host) lookAgain() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.follow(bootOffset(h.shift))
}

// stepTolerance is the difference, in nanoseconds, below which two readings of the offset are the
// same: reading two clocks one after the other is not exact.
const stepTolerance = int64(time.Millisecond)

// follow stores a new offset and reports it to the subscribers.
func (h *Host) follow(offset int64) {
	if d := offset - h.offset.Load(); d > -stepTolerance && d < stepTolerance {
		return
	}
	h.offset.Store(offset)
	for _, s := range h.subscribers {
		s.tell(offset)
	}
}
