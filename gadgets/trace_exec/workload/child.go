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

// modeVar is the variable of the environment that tells a program that it was executed for its
// event, and what to do then.
const modeVar = "GIZMO_WORKLOAD_MODE"

// The modes. In all but the first the process executes the program once more, with nextArgs.
const (
	modeExit   = "exit"
	modeThread = "thread" // from another thread than the process' first
	modeRace   = "race"   // from several threads at the same time
	modeFD     = "fd"     // by a file descriptor
	modeDir    = "dir"    // below a folder's file descriptor
	modeMemory = "memory" // a file in memory
)

var nextArgs = []string{"next", "one", "two"}

// givenFD is the number of the descriptor that the last modes use.
const givenFD = 50

func child(mode string) {
	var err error
	switch mode {
	case modeExit:
		return
	case modeThread:
		err = fromThreads(1)
	case modeRace:
		err = fromThreads(4)
	case modeFD:
		err = byFD("program", "", unix.AT_EMPTY_PATH)
	case modeDir:
		err = byFD(".", "program", 0)
	case modeMemory:
		err = byMemory()
	default:
		err = fmt.Errorf("no mode %q", mode)
	}
	fmt.Fprintln(os.Stderr, "workload: child:", err)
	os.Exit(1)
}

// fromThreads does not return, unless by an error. The process' first thread takes no part.
func fromThreads(n int) error {
	failed := make(chan error)
	start := make(chan struct{})
	for range n {
		go onOtherThread(func() {
			<-start
			failed <- execute(cwd, "./program", 0)
		})
	}
	close(start)
	return <-failed
}

func onOtherThread(f func()) {
	runtime.LockOSThread()
	if unix.Gettid() == os.Getpid() {
		go onOtherThread(f) // elsewhere, since this one is taken
		select {}
	}
	f()
}

func byFD(file, name string, flags int) error {
	fd, err := unix.Open(file, unix.O_PATH, 0)
	if err != nil {
		return err
	}
	if err := unix.Dup3(fd, givenFD, 0); err != nil {
		return err
	}
	return execute(givenFD, name, flags)
}

func byMemory() error {
	program, err := os.ReadFile("program")
	if err != nil {
		return err
	}
	fd, err := unix.MemfdCreate("in memory", 0)
	if err != nil {
		return err
	}
	if _, err := unix.Write(fd, program); err != nil {
		return err
	}
	if err := unix.Dup3(fd, givenFD, 0); err != nil {
		return err
	}
	return execute(givenFD, "", unix.AT_EMPTY_PATH)
}

// cwd is AT_FDCWD as the kernel takes it.
const cwd = ^uintptr(99)

// execute replaces the process by one that exits.
func execute(dir uintptr, name string, flags int) error {
	path, err := unix.BytePtrFromString(name)
	if err != nil {
		return err
	}
	argv, err := pointers(nextArgs)
	if err != nil {
		return err
	}
	envv, err := pointers([]string{modeVar + "=" + modeExit})
	if err != nil {
		return err
	}
	_, _, errno := unix.Syscall6(unix.SYS_EXECVEAT, dir, uintptr(unsafe.Pointer(path)),
		uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&envv[0])), uintptr(flags), 0)
	return fmt.Errorf("execute %q: %w", name, errno)
}

// pointers makes a list as execve takes it.
func pointers(texts []string) ([]*byte, error) {
	list := make([]*byte, len(texts)+1)
	for i, text := range texts {
		p, err := unix.BytePtrFromString(text)
		if err != nil {
			return nil, err
		}
		list[i] = p
	}
	return list, nil
}
