// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload makes threads wait, a known number of times in functions with known names: for time to pass, for
// another thread, and for too short a time to count.
//
//	workload DIR
//
// It does not use DIR.
package main

import (
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// comm is the name of all threads that wait.
const comm = "offcpu-work"

const (
	// times is how often each thread waits.
	times = 5
	// long is how long, and short is less than minBlock.
	long, short = 100 * time.Millisecond, 200 * time.Microsecond
	minBlock    = "20000"
)

// The stacks of the waits. The functions below those of package main are Go's way into the kernel.
const (
	inSleep = "internal/runtime/syscall/linux.Syscall6; syscall.Syscall; syscall.Syscall; golang.org/x/sys/unix.Nanosleep; " +
		"main.sleep; main.sleepLong.func1; runtime.goexit; "
	inFutex = "internal/runtime/syscall/linux.Syscall6; syscall.Syscall6; syscall.Syscall6; " +
		"main.waitFor; main.waitForOther.func1; runtime.goexit; "
)

func main() { workload.Main(run) }

func run(string) error {
	args := []string{"--pid", strconv.Itoa(os.Getpid()), "--comm", comm, "--min-block", minBlock}
	return workload.Cause(args, workload.InTurn(
		on(inSleep, sleepLong),
		on(inFutex, waitForOther),
		on("", sleepShort),
	))
}

// Row is a row of profile_offcpu, with the fields that are known in advance. The process is not among them: a row with a
// process would say that there are no rows of that process but those listed, and Go makes threads wait, too.
type Row struct {
	Proc struct {
		Comm string `json:"comm"`
		TID  int    `json:"tid"`
	} `json:"proc"`
	Waits int   `json:"waits"`
	User  Stack `json:"user_stack_raw"`
}

// Stack is a stack of the process.
type Stack struct {
	Symbols string `json:"symbols"`
}

// on returns the task of a thread that waits with the given stack; "" if its waits are too short to be listed.
func on(stack string, begin func(tids chan<- int)) workload.Task[Row] {
	return func() ([]Row, error) {
		tids := make(chan int)
		begin(tids)
		row := Row{Waits: times, User: Stack{stack}}
		row.Proc.Comm, row.Proc.TID = comm, <-tids
		<-tids
		if stack == "" {
			return nil, nil
		}
		return []Row{row}, nil
	}
}

// begin makes the goroutine a thread with a name, which ends with the goroutine.
func begin(tids chan<- int) {
	runtime.LockOSThread()
	workload.Check("name the thread", workload.SetName(comm))
	tids <- unix.Gettid()
}

// sleepLong waits for time to pass. It is a function of its own in the stack, and so is the goroutine.
//
//go:noinline
func sleepLong(tids chan<- int) {
	go func() {
		begin(tids)
		for range times {
			sleep(long)
		}
		close(tids)
	}()
}

// sleepShort is sleepLong for waits that do not count.
//
//go:noinline
func sleepShort(tids chan<- int) {
	go func() {
		begin(tids)
		for range times {
			sleep(short)
		}
		close(tids)
	}()
}

//go:noinline
func sleep(d time.Duration) {
	t := unix.NsecToTimespec(d.Nanoseconds())
	workload.Check("sleep", unix.Nanosleep(&t, nil))
}

// waitForOther waits until another thread wakes it.
//
//go:noinline
func waitForOther(tids chan<- int) {
	go func() {
		begin(tids)
		for range times {
			word := new(atomic.Uint32)
			go wakeLater(word)
			for word.Load() == 0 {
				waitFor(word)
			}
		}
		close(tids)
	}()
}

// Operations of futexes, from the kernel's headers.
const (
	futexWaitPrivate = 0 | 128
	futexWakePrivate = 1 | 128
)

//go:noinline
func waitFor(word *atomic.Uint32) {
	_, _, errno := unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWaitPrivate, 0, 0, 0, 0)
	if errno != unix.EAGAIN && errno != unix.EINTR {
		workload.Want("wait for the other thread", errno, 0)
	}
}

func wakeLater(word *atomic.Uint32) {
	time.Sleep(long)
	word.Store(1)
	_, _, errno := unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWakePrivate, 1, 0, 0, 0)
	workload.Want("wake the other thread", errno, 0)
}
