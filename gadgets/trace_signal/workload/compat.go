// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
	"github.com/gizmo-ebpf/gizmo/internal/int80"
)

// Numbers of the calls of 32-bit programs.
const (
	kill32                     = 37
	rtSigqueueinfo32           = 178
	tkill32                    = 238
	tgkill32                   = 270
	rtTgsigqueueinfo32         = 335
	pidfdSendSignal32          = 424
	noDescriptor               = 1 << 20
	notReadable        uintptr = 1
)

// call32 sends as 32-bit programs do.
func (t *thread) call32(low *int80.LowMemory) {
	const sig = unix.SIGUSR1
	pid, minus := t.alone.pid, ^uintptr(noProcess-1)
	info := low.Put(newInfo(sig, siQueue)[:])
	for _, c := range []struct {
		number, a, b, c, d uintptr
		want               unix.Errno
		event              Event
	}{
		{kill32, uintptr(pid), uintptr(sig), 0, 0, 0, t.alone.signaled(sig, siUser, ignored)},
		{kill32, minus & 0xffffffff, uintptr(sig), 0, 0, unix.ESRCH, failure(-noProcess, 0, sig, siUser, unix.ESRCH)},
		{tkill32, noProcess, uintptr(sig), 0, 0, unix.ESRCH, failure(noProcess, noProcess, sig, siTkill, unix.ESRCH)},
		{tgkill32, uintptr(pid), noProcess, uintptr(sig), 0, unix.ESRCH, failure(pid, noProcess, sig, siTkill, unix.ESRCH)},
		{rtSigqueueinfo32, noProcess, uintptr(sig), info, 0, unix.ESRCH, failure(noProcess, 0, sig, siQueue, unix.ESRCH)},
		{rtTgsigqueueinfo32, uintptr(pid), noProcess, uintptr(sig), info, unix.ESRCH, failure(pid, noProcess, sig, siQueue, unix.ESRCH)},
		{pidfdSendSignal32, noDescriptor, uintptr(sig), 0, 0, unix.EBADF, failure(0, 0, sig, siUser, unix.EBADF)},
	} {
		t.list(c.event)
		_, errno := int80.Result(int80.Call(c.number, c.a, c.b, c.c, c.d, 0))
		workload.Want(fmt.Sprintf("32-bit call %d", c.number), errno, c.want)
	}
	// For 64-bit programs, the number of one of the gadget's calls is that of another: ustat, flistxattr.
	for _, number := range []uintptr{unix.SYS_KILL, unix.SYS_TGKILL} {
		int80.Call(number, notReadable, notReadable, notReadable, notReadable, notReadable)
	}
	// And the other way around: query_module, set_mempolicy.
	for _, number := range []uintptr{rtSigqueueinfo32, tkill32} {
		unix.RawSyscall(number, ^uintptr(0), ^uintptr(0), ^uintptr(0))
	}
}
