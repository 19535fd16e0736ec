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

// thread is one thread of the system with what it has read and written. It is for a function that has
// it for itself.
type thread struct {
	proc Proc
	rows []Row
}

// onThread runs f on a thread of its own, which is not used for anything else afterwards.
func onThread(f func(*thread) error) ([]Row, error) {
	t := &thread{}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := t.begin()
		if err == nil {
			err = f(t)
		}
		done <- err
	}()
	err := <-done
	return t.rows, err
}

func (t *thread) begin() error {
	var ns unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/mnt", &ns); err != nil {
		return fmt.Errorf("find the mount namespace: %w", err)
	}
	name, err := unix.BytePtrFromString(comm)
	if err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(name)), 0, 0, 0); err != nil {
		return fmt.Errorf("name the thread: %w", err)
	}
	t.proc = Proc{
		Comm: comm, PID: os.Getpid(), TID: unix.Gettid(), MntnsID: ns.Ino,
		Creds: Creds{UID: os.Getuid(), GID: os.Getgid()}, Parent: Parent{PID: os.Getppid()},
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

// row returns the thread's row for an open file, whose path is file.
func (t *thread) row(fd int, file string) (*Row, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	r := Row{Proc: t.proc, Type: typeOf(st.Mode), File: file}
	if fs.Type != unix.OVERLAYFS_SUPER_MAGIC && fs.Type != unix.BTRFS_SUPER_MAGIC {
		r.ID = &ID{Inode: st.Ino, Dev: st.Dev}
	}
	t.rows = append(t.rows, r)
	return &t.rows[len(t.rows)-1], nil
}

// read reads with a call that is given a buffer, and counts it unless it fails with want.
func (r *Row) read(want error, call func([]byte) (int, error), size int) error {
	n, err := call(make([]byte, size))
	if !errors.Is(err, want) {
		return fmt.Errorf("read %s: %d bytes, %w; want %w", r.File, n, err, want)
	}
	if err == nil {
		r.Reads, r.RBytes = r.Reads+1, r.RBytes+uint64(n)
	}
	return nil
}

// write is read for writing.
func (r *Row) write(want error, call func([]byte) (int, error), size int) error {
	n, err := call(make([]byte, size))
	if !errors.Is(err, want) {
		return fmt.Errorf("write %s: %d bytes, %w; want %w", r.File, n, err, want)
	}
	if err == nil {
		r.Writes, r.WBytes = r.Writes+1, r.WBytes+uint64(n)
	}
	return nil
}
