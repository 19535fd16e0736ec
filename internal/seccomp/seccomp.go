// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package seccomp makes the kernel refuse the system calls that this process no longer needs: those that start programs,
// change files, reach other processes or the network, or are rarely used and have a history of flaws.
package seccomp

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Needs are the system calls that the process still needs. The zero value allows it to read and write its open files, and to
// open files for reading.
type Needs struct {
	// Maps: it reads and changes the BPF maps that it has open, opens iterators, detaches programs and asks about them.
	Maps bool
	// WriteFiles: it opens existing files for writing.
	WriteFiles bool
	// UnixSockets: it connects to Unix sockets.
	UnixSockets bool
	// Internet: it connects to other machines over TCP, and asks for their addresses over UDP.
	Internet bool
	// HoldFiles: it has the kernel ask it about accesses to further files.
	HoldFiles bool
	// AttachProbes: it attaches programs to files of containers, which it finds with openat2. A filter cannot read that call's flags, so
	// it can also create files then, where the file system lets it.
	AttachProbes bool
	// PerfEvents: the programs that it attaches need a perf event each, because the kernel has nothing newer (before Linux 6.6). The
	// library also loads a program to find out what the kernel has.
	PerfEvents bool
	// EnterNetworks: it enters other network namespaces.
	EnterNetworks bool
	// AttachPackets: it loads programs and opens packet sockets in the network namespaces of containers.
	AttachPackets bool
	// AttachInterfaces: it attaches programs to network interfaces, through a socket that is open.
	AttachInterfaces bool
	// Programs: it looks at the BPF programs and maps of others.
	Programs bool
}

// Restrict forbids all other calls to all threads of the process, for good. The process must have no_new_privs or CAP_SYS_ADMIN. Forbidden
// calls return EPERM, as without capabilities. After an error nothing has changed; the error is errors.ErrUnsupported on
// processors for which there is no list of system calls.
func Restrict(needs Needs) error {
	calls := callsOf(needs, uint32(os.Getpid()))
	if len(calls) == 0 {
		return fmt.Errorf("seccomp on %s: %w", runtime.GOARCH, errors.ErrUnsupported)
	}
	raw, err := bpf.Assemble(program(calls))
	if err != nil {
		return fmt.Errorf("seccomp: %w", err)
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		filter[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	return install(&unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
}

// flags of the filter. Refused calls appear in the kernel's log, so that users can find out which they were.
// Before Linux 5.16 a filter slows down its threads by a mitigation for speculation in untrusted code,
// which this process does not run: SPEC_ALLOW disables the mitigation.
const flags = unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_LOG | unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW

func install(prog *unix.SockFprog) error {
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(prog)))
	switch {
	case errno != 0:
		return fmt.Errorf("seccomp: %w", errno)
	case thread != 0:
		return fmt.Errorf("seccomp: thread %d has a filter of its own", thread)
	}
	return nil
}
