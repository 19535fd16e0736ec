// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// thread is a thread that sends signals to targets.
type thread struct {
	*workload.Thread[Event]
	*targets
}

func (ts *targets) onThread(comm string, do func(*thread)) workload.Task[Event] {
	return workload.OnThread(comm, func(t *workload.Thread[Event]) error {
		do(&thread{t, ts})
		return nil
	})
}

// list lists an event of this thread.
func (t *thread) list(e Event) {
	e.Proc = t.Proc
	t.Events = append(t.Events, e.complete())
}

// complete adds the names of numbers.
func (e Event) complete() Event {
	e.Sig = unix.SignalName(unix.Signal(e.SigRaw))
	if e.Sig == "" {
		e.Sig = "signal#" + strconv.Itoa(e.SigRaw)
	}
	names := map[int]string{siUser: "SI_USER", siQueue: "SI_QUEUE", siTkill: "SI_TKILL", siKernel: "SI_KERNEL"}
	var ok bool
	if e.Code, ok = names[e.CodeRaw]; !ok {
		e.Code = strconv.Itoa(e.CodeRaw)
	}
	return e
}

// block lets a signal wait at this thread until take takes it.
func (t *thread) block(sig int) {
	set := uint64(1) << (sig - 1)
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_BLOCK, uintptr(unsafe.Pointer(&set)), 0, 8, 0, 0)
	workload.Want("block a signal", errno, 0)
}

// take takes a signal that waits.
func (t *thread) take(sig int) {
	set, now := uint64(1)<<(sig-1), unix.Timespec{}
	n, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGTIMEDWAIT, uintptr(unsafe.Pointer(&set)), 0, uintptr(unsafe.Pointer(&now)), 8, 0, 0)
	workload.Want("take a signal", errno, 0)
	if int(n) != sig {
		workload.Check("take a signal", fmt.Errorf("got %d, want %d", n, sig))
	}
}
