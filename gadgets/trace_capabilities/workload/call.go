// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// capability is a capability with its name.
type capability struct {
	number int
	name   string
}

// kind is the kind of a check, which its caller passes.
type kind struct{ audit, insetid int }

var (
	usual   = kind{audit: 1}
	silent  = kind{audit: 0}
	setuser = kind{audit: 1, insetid: 1}
)

// call is a system call for which the kernel makes one check. No check is made in the source file
// of the checking function, where the compiler may have inlined it, so that only the kernel's
// own tracepoint sees it.
type call struct {
	name   string
	number uintptr
	args   [3]uintptr
	cap    capability
	kind
	// target is the user namespace in which the capability is needed; 0: that of the process.
	target uint64
	// anyway says that the call succeeds without the capability, too.
	anyway bool
	// make makes the call in another way.
	make func(*call) unix.Errno
	// after undoes it, without a check.
	after func(*call)

	result uintptr
	errno  unix.Errno
}

var (
	sysAdmin = capability{unix.CAP_SYS_ADMIN, "CAP_SYS_ADMIN"}
	sysNice  = capability{unix.CAP_SYS_NICE, "CAP_SYS_NICE"}
	netRaw   = capability{unix.CAP_NET_RAW, "CAP_NET_RAW"}
	chroot   = capability{unix.CAP_SYS_CHROOT, "CAP_SYS_CHROOT"}
	setUID   = capability{unix.CAP_SETUID, "CAP_SETUID"}
	setGID   = capability{unix.CAP_SETGID, "CAP_SETGID"}
	setPcap  = capability{unix.CAP_SETPCAP, "CAP_SETPCAP"}
	killCap  = capability{unix.CAP_KILL, "CAP_KILL"}

	sysResource = capability{unix.CAP_SYS_RESOURCE, "CAP_SYS_RESOURCE"}
)

// sethostname fails after the check, since the length is bad.
func sethostname() *call {
	return &call{name: "SYS_SETHOSTNAME", number: unix.SYS_SETHOSTNAME, args: [3]uintptr{0, ^uintptr(0)}, cap: sysAdmin, kind: usual}
}

// moreUrgent lowers the thread's niceness.
func moreUrgent() *call {
	raw, _, _ := unix.RawSyscall(unix.SYS_GETPRIORITY, unix.PRIO_PROCESS, 0, 0)
	nice := 20 - int(raw)
	return &call{name: "SYS_SETPRIORITY", number: unix.SYS_SETPRIORITY, args: [3]uintptr{unix.PRIO_PROCESS, 0, uintptr(nice - 1)},
		cap: sysNice, kind: usual,
		after: func(*call) { unix.RawSyscall(unix.SYS_SETPRIORITY, unix.PRIO_PROCESS, 0, uintptr(nice)) }}
}

func unshareUTS() *call {
	return &call{name: "SYS_UNSHARE", number: unix.SYS_UNSHARE, args: [3]uintptr{unix.CLONE_NEWUTS}, cap: sysAdmin, kind: usual}
}

// calls are those that all kinds of threads make.
func calls() []*call {
	slash := []byte("/\x00")
	return []*call{
		sethostname(),
		unshareUTS(),
		moreUrgent(),
		{name: "SYS_CHROOT", number: unix.SYS_CHROOT, args: [3]uintptr{uintptr(unsafe.Pointer(&slash[0]))}, cap: chroot, kind: usual},
		{name: "SYS_SOCKET", number: unix.SYS_SOCKET, args: [3]uintptr{unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP}, cap: netRaw, kind: usual,
			after: func(c *call) {
				if c.errno == 0 {
					unix.RawSyscall(unix.SYS_CLOSE, c.result, 0, 0)
				}
			}},
		{name: "SYS_SETUID", number: unix.SYS_SETUID, args: [3]uintptr{0}, cap: setUID, kind: setuser},
		{name: "SYS_SETGROUPS", number: unix.SYS_SETGROUPS, cap: setGID, kind: setuser},
		// No capability has this number.
		{name: "SYS_PRCTL", number: unix.SYS_PRCTL, args: [3]uintptr{unix.PR_CAPBSET_DROP, 99}, cap: setPcap, kind: usual},
	}
}

// reorder sets oom_score_adj to its current value. The kernel also makes a check without audit, for how low the
// value may be set later.
func reorder(fd int, value []byte) *call {
	return &call{name: "SYS_WRITE", number: unix.SYS_WRITE, cap: sysResource, kind: silent, anyway: true,
		args: [3]uintptr{uintptr(fd), uintptr(unsafe.Pointer(&value[0])), uintptr(len(value))}}
}

// signalParent tests whether the process may send its parent a signal; only a process of another user needs a
// capability for that.
func signalParent(pid int) *call {
	return &call{name: "SYS_KILL", number: unix.SYS_KILL, args: [3]uintptr{uintptr(pid)}, cap: killCap, kind: usual}
}

// makeAll makes the calls and nothing else: it takes no memory. The first time, with none, it makes
// sure that there is room on the stack.
func makeAll(list []*call) {
	for _, c := range list {
		if c.make != nil {
			c.make(c)
		} else {
			c.result, _, c.errno = unix.RawSyscall(c.number, c.args[0], c.args[1], c.args[2])
		}
		if c.after != nil {
			c.after(c)
		}
	}
}

// mustBeAsExpected checks the result of a call by a thread that has the capability or not.
func (c *call) mustBeAsExpected(has bool) {
	if denied := c.errno == unix.EPERM || c.errno == unix.EACCES; denied != (!has && !c.anyway) {
		workload.Check(c.name, fmt.Errorf("got %v, having %s: %v", c.errno, c.cap.name, has))
	}
}
