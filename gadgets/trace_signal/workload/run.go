// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// processes sends to processes, and to groups of them.
func processes(t *thread) {
	failed := func(pid int, sig unix.Signal, errno unix.Errno) {
		t.kill(pid, sig, errno, failure(pid, 0, sig, siUser, errno))
	}
	first, second := t.group[0], t.group[1]
	t.kill(t.alone.pid, unix.SIGUSR1, 0, t.alone.signaled(unix.SIGUSR1, siUser, ignored))
	t.kill(t.alone.pid, 0, 0)
	failed(noProcess, unix.SIGTERM, unix.ESRCH)
	failed(noProcess, 0, unix.ESRCH)
	failed(-noProcess, unix.SIGHUP, unix.ESRCH)
	failed(t.alone.pid, 65, unix.EINVAL)
	// The last of the group is the first to get it.
	t.kill(-first.pid, unix.SIGUSR1, 0,
		second.signaled(unix.SIGUSR1, siUser, ignored), first.signaled(unix.SIGUSR1, siUser, ignored))
	t.kill(-first.pid, 0, 0)
}

// threads sends to threads.
func threads(t *thread) {
	pid, tid := t.Proc.PID, t.Proc.TID
	const sig = unix.SIGUSR2
	t.block(int(sig))
	t.tgkill(pid, tid, sig, 0, t.own(sig, siTkill, delivered))
	t.tgkill(pid, tid, sig, 0, t.own(sig, siTkill, alreadyPending))
	t.take(int(sig))
	t.tkill(tid, sig, 0, t.own(sig, siTkill, delivered))
	t.take(int(sig))
	t.tkill(t.alone.pid, unix.SIGUSR1, 0,
		to(targetComm, t.alone.pid, t.alone.pid, false, unix.SIGUSR1, siTkill, ignored))
	t.tkill(noProcess, sig, unix.ESRCH, failure(noProcess, noProcess, sig, siTkill, unix.ESRCH))
	t.tgkill(pid, noProcess, sig, unix.ESRCH, failure(pid, noProcess, sig, siTkill, unix.ESRCH))
	t.tgkill(t.alone.pid, tid, sig, unix.ESRCH, failure(t.alone.pid, tid, sig, siTkill, unix.ESRCH)) // of another process
	t.tgkill(-1, tid, sig, unix.EINVAL, failure(-1, tid, sig, siTkill, unix.EINVAL))
}

// queues sends signals with a value.
func queues(t *thread) {
	pid, tid := t.Proc.PID, t.Proc.TID
	const ownCode = -42
	t.queue(t.alone.pid, unix.SIGUSR1, siQueue, 0, t.alone.signaled(unix.SIGUSR1, siQueue, ignored))
	t.block(int(realTime))
	t.tgqueue(pid, tid, realTime, siQueue, 0, t.own(realTime, siQueue, delivered))
	t.tgqueue(pid, tid, realTime, ownCode, 0, t.own(realTime, ownCode, delivered))
	t.take(int(realTime))
	t.take(int(realTime))
	// No process may pretend that another sent it.
	t.queue(t.alone.pid, unix.SIGUSR1, siUser, unix.EPERM,
		failure(t.alone.pid, 0, unix.SIGUSR1, siQueue, unix.EPERM))
	t.tgqueue(pid, noProcess, realTime, siQueue, unix.ESRCH, failure(pid, noProcess, realTime, siQueue, unix.ESRCH))
}

// descriptors sends to processes by their pidfds.
func descriptors(t *thread) {
	fd := workload.Must(unix.PidfdOpen(t.alone.pid, 0))
	t.pidfd(fd, unix.SIGUSR1, 0, t.alone.signaled(unix.SIGUSR1, siUser, ignored))
	workload.Check("close", unix.Close(fd))
	t.pidfd(fd, unix.SIGUSR1, unix.EBADF, failure(0, 0, unix.SIGUSR1, siUser, unix.EBADF))
}

// forbidden sends to a process of another user.
func forbidden(t *thread) {
	workload.Check("give up rights", t.BecomeNobody())
	for _, sig := range []unix.Signal{unix.SIGUSR1, 0} {
		t.kill(t.alone.pid, sig, unix.EPERM, failure(t.alone.pid, 0, sig, siUser, unix.EPERM))
	}
}

// overflows sends when no more signals can be pending: some calls fail, some signals lose their siginfo.
func overflows(t *thread) {
	var limit unix.Rlimit
	workload.Check("find the limit", unix.Getrlimit(unix.RLIMIT_SIGPENDING, &limit))
	workload.Check("let no signal wait", unix.Setrlimit(unix.RLIMIT_SIGPENDING, &unix.Rlimit{Max: limit.Max}))
	defer unix.Setrlimit(unix.RLIMIT_SIGPENDING, &limit)
	pid, tid := t.Proc.PID, t.Proc.TID
	t.block(int(realTime))
	t.block(int(otherRealTime))
	t.block(int(unix.SIGUSR2))
	t.tgqueue(pid, tid, realTime, siQueue, unix.EAGAIN, failure(pid, tid, realTime, siQueue, unix.EAGAIN))
	t.tgkill(pid, tid, otherRealTime, unix.EAGAIN, failure(pid, tid, otherRealTime, siTkill, unix.EAGAIN))
	t.tgkill(pid, tid, unix.SIGUSR2, 0, t.own(unix.SIGUSR2, siTkill, loseInfo))
	t.take(int(unix.SIGUSR2))
}

// nowhere is a nil pointer.
var nowhere *int

// fromKernel makes the kernel send signals.
func fromKernel(t *thread) {
	t.list(t.own(unix.SIGSEGV, segMaperr, delivered))
	func() {
		defer func() { recover() }()
		*nowhere++
	}()
	var pipe [2]int
	workload.Check("make a pipe", unix.Pipe2(pipe[:], unix.O_CLOEXEC))
	workload.Check("close", unix.Close(pipe[0]))
	t.list(t.own(unix.SIGPIPE, siUser, delivered))
	_, err := unix.Write(pipe[1], []byte("hello"))
	workload.Want("write without a reader", err, unix.EPIPE)
	workload.Check("close", unix.Close(pipe[1]))
}

// children makes processes stop, continue and end; the parent gets a signal each time.
func children(t *thread) {
	p := t.stopped
	await := func(options int) { workload.Must(unix.Wait4(p.pid, nil, options, nil)) }
	t.kill(p.pid, unix.SIGSTOP, 0, p.signaled(unix.SIGSTOP, siUser, delivered))
	t.listChild(p, cldStopped)
	await(unix.WUNTRACED)
	t.kill(p.pid, unix.SIGCONT, 0, p.signaled(unix.SIGCONT, siUser, ignored))
	t.listChild(p, cldContinued)
	await(unix.WCONTINUED)
	t.kill(t.killed.pid, unix.SIGKILL, 0, t.killed.signaled(unix.SIGKILL, siUser, delivered))
	t.listChild(t.killed, cldKilled)
	t.killed.end() // says that it was killed
	for _, p := range []*target{p, t.alone, t.group[0], t.group[1]} {
		t.listChild(p, cldExited)
		workload.Check("wait for a process", p.end())
	}
}
