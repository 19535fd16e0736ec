// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package privileges gives up the capabilities of this process.
package privileges

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Cap is the number of a capability: unix.CAP_BPF.
type Cap uint

// Set is a set of capabilities, a bit for each.
type Set uint64

// Of returns the set of the capabilities.
func Of(caps ...Cap) Set {
	var s Set
	for _, c := range caps {
		s |= 1 << c
	}
	return s
}

// ErrBoundingSet says that the bounding set stayed as it was, because the process lacks CAP_SETPCAP. All else that Drop
// does is done. With NoNewPrivileges no program can regain a capability by that set.
var ErrBoundingSet = errors.New("the bounding set of capabilities stays as it is: changing it takes CAP_SETPCAP")

// Drop takes all capabilities but those to keep from all threads of the process, for good: from their effective, permitted,
// inheritable, ambient and bounding sets. Of the capabilities to keep, the threads keep those that they have, in the
// effective, permitted and bounding sets. A second call does no harm.
//
// All threads have to have the same capabilities. In a program that was built with cgo, Drop changes nothing and returns
// an error that is errors.ErrUnsupported.
func Drop(keep ...Cap) error {
	_, permitted, err := own()
	if err != nil {
		return err
	}
	bounding := dropBounding(Of(keep...))
	if bounding != nil && !errors.Is(bounding, ErrBoundingSet) {
		return bounding
	}
	// An ambient capability has to be inheritable, so the kernel clears the ambient set, too.
	header, data := request(permitted&Of(keep...), permitted&Of(keep...))
	if err := setAll(&header, &data); err != nil {
		return err
	}
	return bounding
}

// setAll changes the capabilities of all threads.
func setAll(header *unix.CapUserHeader, data *[2]unix.CapUserData) error {
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(header)), uintptr(unsafe.Pointer(data)), 0)
	if errno != 0 {
		return fmt.Errorf("drop capabilities: %w", errno)
	}
	return nil
}

// NoNewPrivileges sees to it that no thread of the process, and no program that it executes, gets a privilege by executing
// a program. That cannot be undone. In a program that was built with cgo, it changes nothing and returns an error
// that is errors.ErrUnsupported.
func NoNewPrivileges() error {
	_, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0)
	if errno != 0 {
		return fmt.Errorf("set no_new_privs: %w", errno)
	}
	return nil
}

// Try calls do in a thread whose effective capabilities are those to keep, so that the caller can find out what the kernel
// allows without the others. It drops nothing: do must not start goroutines that are to lack them. An error is about the
// capabilities of the thread; after one, do may not have been called, and the process must not call Drop.
func Try(do func(), keep ...Cap) (err error) {
	runtime.LockOSThread()
	defer func() {
		if err == nil { // otherwise the thread may differ from the others, so no other goroutine may use it
			runtime.UnlockOSThread()
		}
	}()
	effective, permitted, err := own()
	if err != nil {
		return err
	}
	if err := set(effective&Of(keep...), permitted); err != nil {
		return err
	}
	defer func() { err = set(effective, permitted) }()
	do()
	return nil
}

// own returns the capabilities of the calling thread.
func own() (effective, permitted Set, err error) {
	header, data := request(0, 0)
	if err := unix.Capget(&header, &data[0]); err != nil {
		return 0, 0, fmt.Errorf("read the capabilities: %w", err)
	}
	return Set(data[1].Effective)<<32 | Set(data[0].Effective), Set(data[1].Permitted)<<32 | Set(data[0].Permitted), nil
}

// set changes the capabilities of the calling thread and keeps its inheritable ones.
func set(effective, permitted Set) error {
	var old [2]unix.CapUserData
	header, data := request(effective, permitted)
	if err := unix.Capget(&header, &old[0]); err != nil {
		return fmt.Errorf("read the capabilities: %w", err)
	}
	data[0].Inheritable, data[1].Inheritable = old[0].Inheritable, old[1].Inheritable
	if err := unix.Capset(&header, &data[0]); err != nil {
		return fmt.Errorf("set the capabilities of a thread: %w", err)
	}
	return nil
}

// request returns the arguments of the system calls: sets of 64 bits, in two halves.
func request(effective, permitted Set) (unix.CapUserHeader, [2]unix.CapUserData) {
	return unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, [2]unix.CapUserData{
		{Effective: uint32(effective), Permitted: uint32(permitted)},
		{Effective: uint32(effective >> 32), Permitted: uint32(permitted >> 32)},
	}
}

// dropBounding takes capabilities from the bounding set of all threads. Each call stops the whole process for a moment,
// so it is made only for those that are in the set.
func dropBounding(keep Set) error {
	effective, _, err := own()
	if err != nil {
		return err
	}
	for c := Cap(0); c < 64; c++ {
		in, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(c), 0, 0, 0)
		if errors.Is(err, unix.EINVAL) {
			return nil // the kernel knows no more capabilities
		}
		if err != nil {
			return fmt.Errorf("read the bounding set of capabilities: %w", err)
		}
		if in == 0 || keep&Of(c) != 0 {
			continue
		}
		if effective&Of(unix.CAP_SETPCAP) == 0 {
			return ErrBoundingSet
		}
		if _, _, errno := syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, uintptr(c), 0); errno != 0 {
			return fmt.Errorf("drop capability %d from the bounding set: %w", c, errno)
		}
	}
	return nil
}
