// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package builtin

import (
	"log/slog"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/semtype"
	"github.com/gizmo-ebpf/gizmo/semtype/userdb"
)

// Host is what the meaning of events on this machine depends on.
type Host struct {
	Env semtype.Env
	// Users and Groups are this machine's names.
	Users, Groups *userdb.File

	clock atomic.Int64
	done  chan struct{}
	// OnClock, if set before Watch, is told of a new boot offset.
	OnClock func(offset int64)
}

// NewHost looks at this machine.
func NewHost() *Host {
	h := &Host{done: make(chan struct{}), Users: userdb.Users(), Groups: userdb.Groups()}
	h.clock.Store(bootOffset())
	h.Env = semtype.Env{
		Arch:       runtime.GOARCH,
		BootOffset: h.clock.Load,
		Users:      h.Users,
		Groups:     h.Groups,
		Log:        slog.Default(),
	}
	return h
}

// Watch keeps the clock's offset current until Close: asking for it at every event would cost more
// than writing the event's time.
func (h *Host) Watch() {
	go func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-h.done:
				return
			case <-tick.C:
				h.follow(bootOffset())
			}
		}
	}()
}

// stepTolerance is the difference, in nanoseconds, below which two readings of the offset are the
// same: reading two clocks one after the other is not exact, and slewing is not a step.
const stepTolerance = int64(time.Millisecond)

func (h *Host) follow(offset int64) {
	old := h.clock.Load()
	if d := offset - old; d > -stepTolerance && d < stepTolerance {
		return
	}
	h.clock.Store(offset)
	if h.OnClock != nil {
		h.OnClock(offset)
	}
}

// Close ends Watch.
func (h *Host) Close() { close(h.done) }

// bootOffset returns what turns CLOCK_BOOTTIME into Unix time, in nanoseconds. The best of a few
// readings counts: the one in which the two clocks were read closest together.
func bootOffset() int64 {
	var best, offset int64 = 1 << 62, 0
	for range 3 {
		var before, boot, after unix.Timespec
		_ = unix.ClockGettime(unix.CLOCK_REALTIME, &before)
		_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot)
		_ = unix.ClockGettime(unix.CLOCK_REALTIME, &after)
		if span := after.Nano() - before.Nano(); span >= 0 && span < best {
			best, offset = span, before.Nano()+span/2-boot.Nano()
		}
	}
	return offset
}
