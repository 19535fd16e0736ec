// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package seccomp has the kernel refuse this process the system calls that it no longer needs: those that start programs,
// change files, reach other processes or the network, or are seldom used and have a record of flaws.
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

// Needs are what the process still does. The zero value is a process that reads and writes the files that it has open, and
// opens files for reading.
type Needs struct {
	// Maps: it reads and changes the BPF maps that it has open, opens iterators, detaches programs and asks about them.
	Maps bool
	// WriteFiles: it opens files for writing that are there.
	WriteFiles bool
}

// Restrict forbids all else to all threads of the process, for good. The process must have no_new_privs or CAP_SYS_ADMIN. What is
// forbidden returns EPERM, as without capabilities. Nothing has changed after an error; it is errors.ErrUnsupported on
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

// flags of the filter. Calls that are refused appear in the kernel's log, so that there is a way to find out which they were.
// Before Linux 5.16 a filter slows down its threads by a measure against speculation in code that the process lets others
// write, which this one does not: SPEC_ALLOW leaves it out.
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
