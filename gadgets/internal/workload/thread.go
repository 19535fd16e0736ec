// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Thread is one thread of the system with the events that it has caused. Only one function runs on it,
// and its changes of the thread's name, user or namespaces end with the thread.
type Thread[E any] struct {
	// Proc describes the thread in its events. Code that changes the thread must change Proc, too.
	Proc Proc
	// Events are for the function to append to.
	Events []E
}

// OnThread returns the task of a function that runs on a new thread, which is not used for anything
// else afterwards. The thread is called comm; the kernel cuts longer names. If comm is empty the thread
// keeps the process' name, and OnThread makes no call to name it: Proc.Comm is empty then, too.
func OnThread[E any](comm string, do func(*Thread[E]) error) Task[E] {
	return func() ([]E, error) {
		t := &Thread[E]{}
		done := make(chan error)
		go func() {
			runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
			err := t.begin(comm)
			if err == nil {
				err = try(func() error { return do(t) })
			}
			done <- err
		}()
		if err := <-done; err != nil {
			return nil, fmt.Errorf("thread %q: %w", t.Proc.Comm, err)
		}
		return t.Events, nil
	}
}

func (t *Thread[E]) begin(comm string) error {
	if comm != "" {
		if err := SetName(comm); err != nil {
			return err
		}
	}
	var err error
	t.Proc, err = describe(comm)
	return err
}

// SetName names the calling thread, with one system call.
func SetName(comm string) error {
	name, err := unix.BytePtrFromString(comm)
	if err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(name)), 0, 0, 0); err != nil {
		return fmt.Errorf("name the thread: %w", err)
	}
	return nil
}

// EndFirstThread ends the calling thread, which must be the first of the process. The process goes on
// without it. It returns only if that fails.
func EndFirstThread() error {
	if unix.Gettid() != os.Getpid() {
		return errors.New("this is not the first thread")
	}
	_, _, errno := unix.Syscall(unix.SYS_EXIT, 0, 0, 0)
	return fmt.Errorf("end the first thread: %w", errno)
}

// WaitForZombie waits until the first thread of a process has ended, with the others or without them.
func WaitForZombie(pid int) error {
	for range 1000 {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return err
		}
		if strings.Contains(string(stat), ") Z ") {
			return nil
		}
		time.Sleep(5 * time.Millisecond)
	}
	return fmt.Errorf("the first thread of process %d does not end", pid)
}

// BecomeNobody gives up the rights of root for this thread only.
func (t *Thread[E]) BecomeNobody() error {
	const nobody = 65534
	for _, call := range []uintptr{unix.SYS_SETRESGID, unix.SYS_SETRESUID} {
		if _, _, errno := unix.RawSyscall(call, nobody, nobody, nobody); errno != 0 {
			return fmt.Errorf("become nobody: %w", errno)
		}
	}
	t.Proc.Creds = Creds{UID: nobody, GID: nobody}
	return nil
}

// OwnMounts puts the thread into a new mount namespace. Mounts there are not visible elsewhere.
func (t *Thread[E]) OwnMounts() error {
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("leave the mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep mounts from others: %w", err)
	}
	var err error
	t.Proc.MntnsID, err = Namespace("/proc/thread-self/ns/mnt")
	return err
}

// OwnNetwork puts the thread into a network namespace of its own, in which there is only a loopback
// interface, and returns the namespace's number.
func (t *Thread[E]) OwnNetwork() (netns uint64, err error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return 0, fmt.Errorf("leave the network namespace: %w", err)
	}
	if err := SetLoopback(true); err != nil {
		return 0, err
	}
	return Namespace("/proc/thread-self/ns/net")
}
