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

// thread is one thread of the system with the operations that it has caused.
type thread struct {
	root   int // of the file system
	proc   Proc
	events []Event
}

// onThread runs f on a thread of its own, which is not used for anything else afterwards.
func onThread(root int, comm string, f func(*thread) error) ([]Event, error) {
	t := &thread{root: root}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := t.name(comm)
		if err == nil {
			err = f(t)
		}
		done <- err
	}()
	if err := <-done; err != nil {
		return nil, fmt.Errorf("thread %s: %w", comm, err)
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
	var st unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/mnt", &st); err != nil {
		return fmt.Errorf("find the mount namespace: %w", err)
	}
	t.proc = Proc{
		Comm:    comm,
		PID:     os.Getpid(),
		TID:     unix.Gettid(),
		MntnsID: st.Ino,
		Creds:   Creds{UID: os.Getuid(), GID: os.Getgid()},
		Parent:  Parent{PID: os.Getppid()},
	}
	return nil
}

// list lists an event.
func (t *thread) list(o op, file string, offset int64, size int, err unix.Errno) {
	e := Event{Proc: t.proc, Op: opNames[o], OpRaw: uint32(o), File: file, Offset: offset, Size: uint64(size)}
	if err != 0 {
		e.Error, e.ErrorRaw = unix.ErrnoName(err), uint32(err)
	}
	t.events = append(t.events, e)
}
