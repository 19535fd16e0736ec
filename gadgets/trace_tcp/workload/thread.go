// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// thread is one thread of the system with what it did. It is for a function that has it for itself:
// what it does to the thread's name or namespace ends with it.
type thread struct {
	proc    Proc
	netnsID uint64
	events  []Event
}

// part is what one thread does, under a name of its own.
type part struct {
	comm string
	run  func(*thread) error
}

// onThread runs p on a thread of its own, which is not used for anything else afterwards.
func onThread(p part) ([]Event, error) {
	t := &thread{}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := t.name(p.comm)
		if err == nil {
			err = p.run(t)
		}
		done <- err
	}()
	if err := <-done; err != nil {
		return nil, fmt.Errorf("thread %s: %w", p.comm, err)
	}
	return t.events, nil
}

func (t *thread) name(comm string) error {
	name, err := unix.BytePtrFromString(comm)
	if err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(name)), 0, 0, 0); err != nil {
		return fmt.Errorf("name the thread: %w", err)
	}
	t.proc = Proc{
		Comm:   comm[:min(len(comm), 15)],
		PID:    os.Getpid(),
		TID:    unix.Gettid(),
		Creds:  Creds{UID: os.Getuid(), GID: os.Getgid()},
		Parent: Parent{PID: os.Getppid()},
	}
	t.proc.MntnsID, err = inode("/proc/thread-self/ns/mnt")
	if err != nil {
		return err
	}
	t.netnsID, err = inode("/proc/thread-self/ns/net")
	return err
}

func inode(path string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, fmt.Errorf("inode of %s: %w", path, err)
	}
	return st.Ino, nil
}

// ownNetwork puts the thread into a network namespace of its own, with a loopback interface.
func (t *thread) ownNetwork() error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("leave the network namespace: %w", err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request); err != nil {
		return fmt.Errorf("bring up the loopback interface: %w", err)
	}
	t.netnsID, err = inode("/proc/thread-self/ns/net")
	return err
}

// list lists an event.
func (t *thread) list(kind string, src, dst Endpoint, errno unix.Errno, fd, acceptFD int) {
	e := Event{Proc: t.proc, NetnsID: t.netnsID, Type: kind, Src: src, Dst: dst, FD: fd, AcceptFD: acceptFD}
	if errno != 0 {
		e.Error, e.ErrorRaw = unix.ErrnoName(errno), uint32(errno)
	}
	t.events = append(t.events, e)
}
