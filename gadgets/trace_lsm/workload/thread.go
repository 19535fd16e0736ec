// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// process holds the facts that are the same in all threads before they have names.
type process struct{ comm string }

// thread is a thread that makes the kernel call hooks.
type thread struct{ *workload.Thread[Event] }

// onThread names the thread by a call that is an event, too.
func (p process) onThread(comm string, do func(*thread)) workload.Task[Event] {
	return workload.OnThread("", func(w *workload.Thread[Event]) error {
		w.Proc.Comm = p.comm
		t := &thread{w}
		t.rename(comm)
		do(t)
		return nil
	})
}

// rename gives the thread another name, unless a program that only watches has decided otherwise.
func (t *thread) rename(comm string) {
	t.asks(workload.SetName(comm), 0, "task_prctl")
	t.Proc.Comm = comm
	var got [16]byte
	t.asks(unix.Prctl(unix.PR_GET_NAME, uintptr(unsafe.Pointer(&got)), 0, 0, 0), 0, "task_prctl")
	if now := unix.ByteSliceToString(got[:]); now != comm {
		workload.Check("name the thread", fmt.Errorf("it is called %q, want %q", now, comm))
	}
}

// asks lists the events of a call for which the kernel calls these hooks, in this order. The call's error must
// be the wanted one.
func (t *thread) asks(err error, want unix.Errno, hooks ...string) {
	for _, hook := range hooks {
		t.Events = append(t.Events, Event{Proc: t.Proc, Tracepoint: hook})
	}
	workload.Want(fmt.Sprint(hooks), err, want)
}
