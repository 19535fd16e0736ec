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

// thread is one thread of the system with what it did. It is for a function that has it for itself.
type thread struct {
	*files
	comm   string
	tid    int
	events []Event
}

// onThread runs do on a thread of its own, which is not used for anything else afterwards.
func (f *files) onThread(comm string, do func(*thread) error) ([]Event, error) {
	t := &thread{files: f, comm: comm}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		t.tid = unix.Gettid()
		err := nameThread(comm)
		if err == nil {
			err = do(t)
		}
		done <- err
	}()
	if err := <-done; err != nil {
		return nil, fmt.Errorf("thread %s: %w", comm, err)
	}
	return t.events, nil
}

func nameThread(comm string) error {
	name, err := unix.BytePtrFromString(comm)
	if err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(name)), 0, 0, 0); err != nil {
		return fmt.Errorf("name the thread: %w", err)
	}
	return nil
}

// event is one of the process pid, with what is true of all.
func (t *thread) event(pid int) Event {
	return Event{
		Proc: Proc{
			PID: pid, TID: pid, MntnsID: t.mntns,
			Creds:  Creds{UID: os.Getuid(), GID: os.Getgid()},
			Parent: Parent{Comm: t.comm, PID: os.Getpid(), TID: t.tid},
		},
		LoginUID: t.loginUID, SessionID: t.sessionID,
		Cwd: cutPath(t.dir), Exepath: cutPath(t.path("program")),
	}
}
