// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload keeps CPUs busy in functions with known names: in the process itself, and in the kernel.
//
//	workload DIR
//
// It does not use DIR. Where exactly a thread is when a sample comes is a matter of chance, so the workload lists only the
// places at which each of its threads is most of the time.
package main

import (
	"os"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// Names of the threads.
const (
	inProcess = "cpu-process"
	inKernel  = "cpu-kernel"
)

// busy is how long each thread works. With 199 samples a second of CPU time, that is some 300 samples.
const busy = 1500 * time.Millisecond

func main() { workload.Main(run) }

func run(string) error {
	return workload.Cause([]string{"--frequency", "199", "--pid", strconv.Itoa(os.Getpid())}, workload.InTurn(
		on(inProcess, "main.spin; main.work.func1; runtime.goexit; ", work),
		on(inKernel, "internal/runtime/syscall/linux.Syscall6; syscall.Syscall; syscall.Syscall; golang.org/x/sys/unix.read; "+
			"main.ask.func1; runtime.goexit; ", ask),
	))
}

// Row is a row of profile_cpu, with the fields that are known in advance. The process is not among them: a row
// with a process would say that there are no rows of that process but those listed.
type Row struct {
	Proc struct {
		Comm string `json:"comm"`
		TID  int    `json:"tid"`
	} `json:"proc"`
	User Stack `json:"user_stack_raw"`
}

// Stack is a stack of the process.
type Stack struct {
	Symbols string `json:"symbols"`
}

// on returns the task of a thread that is called comm. do starts it. Most of its samples have the stack.
func on(comm, stack string, do func(tids chan<- int)) workload.Task[Row] {
	return func() ([]Row, error) {
		tids := make(chan int)
		do(tids)
		var row Row
		row.Proc.Comm, row.Proc.TID = comm, <-tids
		<-tids
		row.User.Symbols = stack
		return []Row{row}, nil
	}
}

// begin makes the goroutine a thread with a name, which ends with the goroutine.
func begin(comm string, tids chan<- int) {
	runtime.LockOSThread()
	workload.Check("name the thread", workload.SetName(comm))
	tids <- unix.Gettid()
}

// work keeps the process busy. It is a function of its own in the stack, and so is the goroutine.
//
//go:noinline
func work(tids chan<- int) {
	go func() {
		begin(inProcess, tids)
		for end := time.Now().Add(busy); time.Now().Before(end); {
			spin()
		}
		close(tids)
	}()
}

// spin calls nothing. Its variable is on the stack: without that it would have no frame pointer, and its caller would be missing in stacks.
//
//go:noinline
func spin() uint64 {
	var last [64]uint64
	for i := range uint64(5_000_000) {
		last[i%64] = last[(i+1)%64]*31 + i
	}
	return last[0]
}

// ask keeps the kernel busy.
//
//go:noinline
func ask(tids chan<- int) {
	go func() {
		begin(inKernel, tids)
		zeros := workload.Must(unix.Open("/dev/zero", unix.O_RDONLY|unix.O_CLOEXEC, 0))
		defer unix.Close(zeros)
		buf := make([]byte, 1<<20)
		for end := time.Now().Add(busy); time.Now().Before(end); {
			workload.Must(unix.Read(zeros, buf))
		}
		close(tids)
	}()
}
