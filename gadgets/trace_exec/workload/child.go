// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// modeVar is the environment variable that tells a program that it was executed for its
// event, and what to do.
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
	switch mode {
	case modeExit:
		return
	case modeThread:
		fromThreads(1)
	case modeRace:
		fromThreads(4)
	case modeFD:
		byFD(workload.Must(unix.Open("program", unix.O_PATH, 0)), "", unix.AT_EMPTY_PATH)
	case modeDir:
		byFD(workload.Must(unix.Open(".", unix.O_PATH, 0)), "program", 0)
	case modeMemory:
		fd := workload.Must(unix.MemfdCreate("in memory", 0))
		workload.Must(unix.Write(fd, workload.Must(os.ReadFile("program"))))
		byFD(fd, "", unix.AT_EMPTY_PATH)
	}
	panic("no mode " + mode)
}

// fromThreads does not return. The process' first thread takes no part.
func fromThreads(n int) {
	start := make(chan struct{})
	for range n {
		go onOtherThread(func() {
			<-start
			execute(cwd, "./program", 0)
		})
	}
	close(start)
	select {}
}

func onOtherThread(f func()) {
	runtime.LockOSThread()
	if unix.Gettid() == os.Getpid() {
		go onOtherThread(f) // runs on another thread, because this one is locked
		select {}
	}
	f()
}

func byFD(fd int, name string, flags int) {
	workload.Check("use the descriptor", unix.Dup3(fd, givenFD, 0))
	execute(givenFD, name, flags)
}

// cwd is AT_FDCWD as the kernel takes it.
const cwd = ^uintptr(99)

// execute replaces the process by a program that exits.
func execute(dir uintptr, name string, flags int) {
	path, argv, envv := workload.Must(unix.BytePtrFromString(name)), pointers(nextArgs), pointers([]string{modeVar + "=" + modeExit})
	_, _, errno := unix.Syscall6(unix.SYS_EXECVEAT, dir, uintptr(unsafe.Pointer(path)),
		uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&envv[0])), uintptr(flags), 0)
	workload.Check("execute "+name, errno)
}

// pointers makes a list as execve takes it.
func pointers(texts []string) []*byte {
	list := make([]*byte, len(texts)+1)
	for i, text := range texts {
		list[i] = workload.Must(unix.BytePtrFromString(text))
	}
	return list
}
