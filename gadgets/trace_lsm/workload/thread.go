// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// thread is one thread of the system with the events that it has caused.
type thread struct {
	proc   Proc
	events []Event
}

// onThread runs f on a thread of its own, which is not used for anything else afterwards. The process
// has been started with the name process.
func onThread(process, comm string, f func(*thread) error) ([]Event, error) {
	t := &thread{}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := t.init(process)
		if err == nil {
			err = t.rename(comm)
		}
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

func (t *thread) init(comm string) error {
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

// rename gives the thread another name, unless a program that only watches has decided otherwise.
func (t *thread) rename(comm string) error {
	name, err := unix.BytePtrFromString(comm)
	if err != nil {
		return err
	}
	if err := t.asks(unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(name)), 0, 0, 0), 0, "task_prctl"); err != nil {
		return err
	}
	t.proc.Comm = comm
	var got [16]byte
	if err := t.asks(unix.Prctl(unix.PR_GET_NAME, uintptr(unsafe.Pointer(&got)), 0, 0, 0), 0, "task_prctl"); err != nil {
		return err
	}
	if now := unix.ByteSliceToString(got[:]); now != comm {
		return fmt.Errorf("the thread is called %q, want %q", now, comm)
	}
	return nil
}

// asks lists the events of a call that these hooks are called for, in this order. The call's error is
// to be the one that is wanted.
func (t *thread) asks(err error, want unix.Errno, hooks ...string) error {
	for _, hook := range hooks {
		t.events = append(t.events, Event{Proc: t.proc, Tracepoint: hook})
	}
	if want == 0 && err == nil || want != 0 && errors.Is(err, want) {
		return nil
	}
	return fmt.Errorf("%v: got %w, want %q", hooks, err, unix.ErrnoName(want))
}
