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

// thread is one thread of the system with the calls that it made. It is for a function that has it
// for itself: what it does to the thread's name, user or namespace ends with it.
type thread struct {
	proc   Proc
	events []Event
}

// onThread runs f on a thread of its own, which is not used for anything else afterwards.
func onThread(comm string, f func(*thread) error) ([]Event, error) {
	t := &thread{}
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
	t.proc = Proc{
		Comm:   comm[:min(len(comm), 15)],
		PID:    os.Getpid(),
		TID:    unix.Gettid(),
		Creds:  Creds{UID: os.Getuid(), GID: os.Getgid()},
		Parent: Parent{PID: os.Getppid()},
	}
	return t.findMntns()
}

// findMntns asks without opening anything.
func (t *thread) findMntns() error {
	var st unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/mnt", &st); err != nil {
		return fmt.Errorf("find the mount namespace: %w", err)
	}
	t.proc.MntnsID = st.Ino
	return nil
}

// becomeNobody gives up the rights of root for this thread only.
func (t *thread) becomeNobody() error {
	const nobody = 65534
	for _, call := range []uintptr{unix.SYS_SETRESGID, unix.SYS_SETRESUID} {
		if _, _, errno := unix.RawSyscall(call, nobody, nobody, nobody); errno != 0 {
			return fmt.Errorf("become nobody: %w", errno)
		}
	}
	t.proc.Creds = Creds{UID: nobody, GID: nobody}
	return nil
}

// ownMounts puts the thread into a mount namespace of its own.
func (t *thread) ownMounts() error {
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("leave the mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep mounts from others: %w", err)
	}
	return t.findMntns()
}
