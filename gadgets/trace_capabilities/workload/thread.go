// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
	"github.com/gizmo-ebpf/gizmo/internal/uname"
)

// comm is the name of threads whose checks count.
const comm = "cap-workload"

// thread is a thread that the kernel checks.
type thread struct {
	*workload.Thread[Event]
	userns uint64
}

// onThread does not name the thread: do of the thread does.
func onThread(do func(*thread)) workload.Task[Event] {
	return workload.OnThread("", func(w *workload.Thread[Event]) error {
		w.Proc.Comm = comm
		do(&thread{Thread: w, userns: workload.Must(workload.Namespace("/proc/thread-self/ns/user"))})
		return nil
	})
}

// do makes calls and lists their checks. If may is false, the thread has none of the capabilities that the calls
// need; else it has those that root has on this machine.
func (t *thread) do(may bool, list ...*call) {
	_, data := capabilities()
	before := uint64(data[1].Effective)<<32 | uint64(data[0].Effective)
	makeAll(nil)
	name, old := [16]byte{}, [16]byte{}
	copy(name[:], comm)
	unix.RawSyscall(unix.SYS_PRCTL, unix.PR_GET_NAME, uintptr(unsafe.Pointer(&old)), 0)
	unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_NAME, uintptr(unsafe.Pointer(&name)), 0)
	makeAll(list)
	unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_NAME, uintptr(unsafe.Pointer(&old)), 0)
	for _, c := range list {
		has := may && before&(1<<c.cap.number) != 0
		c.mustBeAsExpected(has)
		t.list(c, has, before)
	}
}

func (t *thread) list(c *call, has bool, effective uint64) {
	e := Event{
		Proc: t.Proc, Cap: c.cap.name, CapRaw: c.cap.number, Capable: has,
		CapEffectiveRaw: effective, CurrentUserns: t.userns, TargetUserns: c.target,
		Syscall: c.name, SyscallRaw: uint64(c.number),
	}
	if e.TargetUserns == 0 {
		e.TargetUserns = t.userns
	}
	if tellsKind() {
		e.Audit, e.InSetID = &c.audit, &c.insetid
	}
	t.Events = append(t.Events, e)
}

// tellsKind reports whether it is sure that the gadget knows the kind of a check. Since Linux 6.15 it
// may run where it does not.
func tellsKind() bool { return !uname.AtLeast(6, 15) }

// capabilities returns those of the thread in the form that capset takes.
func capabilities() (*unix.CapUserHeader, *[2]unix.CapUserData) {
	header, data := &unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &[2]unix.CapUserData{}
	workload.Check("read the capabilities", unix.Capget(header, &data[0]))
	return header, data
}
