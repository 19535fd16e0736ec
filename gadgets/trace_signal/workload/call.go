// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// noProcess is a number that no process or thread has: it is larger than any.
const noProcess = 1 << 30

// realTime are signals that no other program uses: more than one of them can be pending.
const realTime, otherRealTime = unix.Signal(40), unix.Signal(41)

// call makes a system call, which must have the result, and lists what it causes.
func (t *thread) call(number uintptr, args [4]uintptr, want unix.Errno, events ...Event) {
	for _, e := range events {
		t.list(e)
	}
	_, _, errno := unix.RawSyscall6(number, args[0], args[1], args[2], args[3], 0, 0)
	workload.Want(fmt.Sprintf("call %d with %v", number, args), errno, want)
}

func (t *thread) kill(pid int, sig unix.Signal, want unix.Errno, events ...Event) {
	t.call(unix.SYS_KILL, [4]uintptr{uintptr(pid), uintptr(sig)}, want, events...)
}

func (t *thread) tkill(tid int, sig unix.Signal, want unix.Errno, events ...Event) {
	t.call(unix.SYS_TKILL, [4]uintptr{uintptr(tid), uintptr(sig)}, want, events...)
}

func (t *thread) tgkill(pid, tid int, sig unix.Signal, want unix.Errno, events ...Event) {
	t.call(unix.SYS_TGKILL, [4]uintptr{uintptr(pid), uintptr(tid), uintptr(sig)}, want, events...)
}

func (t *thread) queue(pid int, sig unix.Signal, code int, want unix.Errno, events ...Event) {
	info := newInfo(sig, code)
	t.call(unix.SYS_RT_SIGQUEUEINFO, [4]uintptr{uintptr(pid), uintptr(sig), uintptr(unsafe.Pointer(info))}, want, events...)
}

func (t *thread) tgqueue(pid, tid int, sig unix.Signal, code int, want unix.Errno, events ...Event) {
	info := newInfo(sig, code)
	args := [4]uintptr{uintptr(pid), uintptr(tid), uintptr(sig), uintptr(unsafe.Pointer(info))}
	t.call(unix.SYS_RT_TGSIGQUEUEINFO, args, want, events...)
}

func (t *thread) pidfd(fd int, sig unix.Signal, want unix.Errno, events ...Event) {
	t.call(unix.SYS_PIDFD_SEND_SIGNAL, [4]uintptr{uintptr(fd), uintptr(sig)}, want, events...)
}

// newInfo makes a siginfo for the kernel.
func newInfo(sig unix.Signal, code int) *[128]byte {
	var info [128]byte
	binary.NativeEndian.PutUint32(info[0:], uint32(sig))
	binary.NativeEndian.PutUint32(info[8:], uint32(code))
	return &info
}

// own is a signal to the thread itself.
func (t *thread) own(sig unix.Signal, code int, result string) Event {
	return to(t.Proc.Comm, t.Proc.PID, t.Proc.TID, false, sig, code, result)
}
