// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// thread is one thread of the system with the signals that it sent. It is for a function that has
// it for itself: what it does to the thread's name, user or signal mask ends with it.
type thread struct {
	*targets
	proc   Proc
	events []Event
}

// onThread runs do on a thread of its own, which is not used for anything else afterwards.
func (ts *targets) onThread(comm string, do func(*thread) error) ([]Event, error) {
	t := &thread{targets: ts}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := t.name(comm)
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
		Comm:    comm[:min(len(comm), 15)],
		PID:     os.Getpid(),
		TID:     unix.Gettid(),
		MntnsID: st.Ino,
		Creds:   Creds{UID: os.Getuid(), GID: os.Getgid()},
		Parent:  Parent{PID: os.Getppid()},
	}
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

// list lists an event of this thread.
func (t *thread) list(e Event) {
	e.Proc = t.proc
	t.events = append(t.events, e.complete())
}

// complete adds the names of numbers.
func (e Event) complete() Event {
	e.Sig = unix.SignalName(unix.Signal(e.SigRaw))
	if e.Sig == "" {
		e.Sig = "signal#" + strconv.Itoa(e.SigRaw)
	}
	if e.ErrorRaw != 0 {
		e.Error = unix.ErrnoName(unix.Errno(e.ErrorRaw))
	}
	names := map[int]string{siUser: "SI_USER", siQueue: "SI_QUEUE", siTkill: "SI_TKILL", siKernel: "SI_KERNEL"}
	var ok bool
	if e.Code, ok = names[e.CodeRaw]; !ok {
		e.Code = strconv.Itoa(e.CodeRaw)
	}
	return e
}

// block lets a signal wait at this thread until take takes it.
func (t *thread) block(sig int) error {
	set := uint64(1) << (sig - 1)
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_BLOCK, uintptr(unsafe.Pointer(&set)), 0, 8, 0, 0)
	return asError("block a signal", errno)
}

// take takes a signal that waits.
func (t *thread) take(sig int) error {
	set, now := uint64(1)<<(sig-1), unix.Timespec{}
	n, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGTIMEDWAIT, uintptr(unsafe.Pointer(&set)), 0, uintptr(unsafe.Pointer(&now)), 8, 0, 0)
	if int(n) != sig {
		return fmt.Errorf("take signal %d: got %d, %v", sig, int(n), errno)
	}
	return nil
}

func asError(what string, errno unix.Errno) error {
	if errno == 0 {
		return nil
	}
	return fmt.Errorf("%s: %w", what, errno)
}
