// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// processes sends to processes, and to groups of them.
func processes(t *thread) error {
	failed := func(pid int, sig unix.Signal, errno unix.Errno) error {
		return t.kill(pid, sig, errno, failure(pid, 0, sig, siUser, errno))
	}
	first, second := t.group[0], t.group[1]
	return inTurn(
		func() error {
			return t.kill(t.alone.pid, unix.SIGUSR1, 0, t.alone.signaled(unix.SIGUSR1, siUser, ignored))
		},
		func() error { return t.kill(t.alone.pid, 0, 0) },
		func() error { return failed(nobody, unix.SIGTERM, unix.ESRCH) },
		func() error { return failed(nobody, 0, unix.ESRCH) },
		func() error { return failed(-nobody, unix.SIGHUP, unix.ESRCH) },
		func() error { return failed(t.alone.pid, 65, unix.EINVAL) },
		func() error { // the last of the group is the first to get it
			return t.kill(-first.pid, unix.SIGUSR1, 0,
				second.signaled(unix.SIGUSR1, siUser, ignored), first.signaled(unix.SIGUSR1, siUser, ignored))
		},
		func() error { return t.kill(-first.pid, 0, 0) },
	)
}

// threads sends to threads.
func threads(t *thread) error {
	pid, tid := t.Proc.PID, t.Proc.TID
	const sig = unix.SIGUSR2
	return inTurn(
		func() error { return t.block(int(sig)) },
		func() error { return t.tgkill(pid, tid, sig, 0, t.own(sig, siTkill, delivered)) },
		func() error { return t.tgkill(pid, tid, sig, 0, t.own(sig, siTkill, alreadyPending)) },
		func() error { return t.take(int(sig)) },
		func() error { return t.tkill(tid, sig, 0, t.own(sig, siTkill, delivered)) },
		func() error { return t.take(int(sig)) },
		func() error {
			return t.tkill(t.alone.pid, unix.SIGUSR1, 0,
				to(targetComm, t.alone.pid, t.alone.pid, false, unix.SIGUSR1, siTkill, ignored))
		},
		func() error {
			return t.tkill(nobody, sig, unix.ESRCH, failure(nobody, nobody, sig, siTkill, unix.ESRCH))
		},
		func() error {
			return t.tgkill(pid, nobody, sig, unix.ESRCH, failure(pid, nobody, sig, siTkill, unix.ESRCH))
		},
		func() error { // a thread of another process
			return t.tgkill(t.alone.pid, tid, sig, unix.ESRCH, failure(t.alone.pid, tid, sig, siTkill, unix.ESRCH))
		},
		func() error {
			return t.tgkill(-1, tid, sig, unix.EINVAL, failure(-1, tid, sig, siTkill, unix.EINVAL))
		},
	)
}

// queues sends signals with a value.
func queues(t *thread) error {
	pid, tid := t.Proc.PID, t.Proc.TID
	const ownCode = -42
	return inTurn(
		func() error {
			return t.queue(t.alone.pid, unix.SIGUSR1, siQueue, 0, t.alone.signaled(unix.SIGUSR1, siQueue, ignored))
		},
		func() error { return t.block(int(realTime)) },
		func() error { return t.tgqueue(pid, tid, realTime, siQueue, 0, t.own(realTime, siQueue, delivered)) },
		func() error { return t.tgqueue(pid, tid, realTime, ownCode, 0, t.own(realTime, ownCode, delivered)) },
		func() error { return t.take(int(realTime)) },
		func() error { return t.take(int(realTime)) },
		func() error { // no process may pretend that another sent it
			return t.queue(t.alone.pid, unix.SIGUSR1, siUser, unix.EPERM,
				failure(t.alone.pid, 0, unix.SIGUSR1, siQueue, unix.EPERM))
		},
		func() error {
			return t.tgqueue(pid, nobody, realTime, siQueue, unix.ESRCH, failure(pid, nobody, realTime, siQueue, unix.ESRCH))
		},
	)
}

// descriptors sends to processes by descriptors that stand for them.
func descriptors(t *thread) error {
	fd, err := unix.PidfdOpen(t.alone.pid, 0)
	if err != nil {
		return fmt.Errorf("open a process: %w", err)
	}
	return inTurn(
		func() error {
			return t.pidfd(fd, unix.SIGUSR1, 0, t.alone.signaled(unix.SIGUSR1, siUser, ignored))
		},
		func() error { return unix.Close(fd) },
		func() error {
			return t.pidfd(fd, unix.SIGUSR1, unix.EBADF, failure(0, 0, unix.SIGUSR1, siUser, unix.EBADF))
		},
	)
}

// forbidden sends to a process of another user.
func forbidden(t *thread) error {
	if err := t.BecomeNobody(); err != nil {
		return err
	}
	for _, sig := range []unix.Signal{unix.SIGUSR1, 0} {
		if err := t.kill(t.alone.pid, sig, unix.EPERM, failure(t.alone.pid, 0, sig, siUser, unix.EPERM)); err != nil {
			return err
		}
	}
	return nil
}

// overflows sends when no more signals may wait: some fail, some lose what they carry.
func overflows(t *thread) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_SIGPENDING, &limit); err != nil {
		return err
	}
	if err := unix.Setrlimit(unix.RLIMIT_SIGPENDING, &unix.Rlimit{Max: limit.Max}); err != nil {
		return err
	}
	pid, tid := t.Proc.PID, t.Proc.TID
	err := inTurn(
		func() error { return t.block(int(realTime)) },
		func() error { return t.block(int(otherRealTime)) },
		func() error { return t.block(int(unix.SIGUSR2)) },
		func() error {
			return t.tgqueue(pid, tid, realTime, siQueue, unix.EAGAIN, failure(pid, tid, realTime, siQueue, unix.EAGAIN))
		},
		func() error {
			return t.tgkill(pid, tid, otherRealTime, unix.EAGAIN, failure(pid, tid, otherRealTime, siTkill, unix.EAGAIN))
		},
		func() error { return t.tgkill(pid, tid, unix.SIGUSR2, 0, t.own(unix.SIGUSR2, siTkill, loseInfo)) },
		func() error { return t.take(int(unix.SIGUSR2)) },
	)
	return errors.Join(err, unix.Setrlimit(unix.RLIMIT_SIGPENDING, &limit))
}

// nowhere is what nothing points to.
var nowhere *int

// fromKernel does what the kernel answers with a signal.
func fromKernel(t *thread) error {
	t.list(t.own(unix.SIGSEGV, segMaperr, delivered))
	func() {
		defer func() { recover() }()
		*nowhere++
	}()
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	if err := unix.Close(pipe[0]); err != nil {
		return err
	}
	t.list(t.own(unix.SIGPIPE, siUser, delivered))
	if _, err := unix.Write(pipe[1], []byte("hello")); err != unix.EPIPE {
		return fmt.Errorf("write to nobody: got %v, want %v", err, unix.EPIPE)
	}
	return unix.Close(pipe[1])
}

// children lets processes stop, go on and end, of which the parent is told.
func children(t *thread) error {
	p := t.stopped
	await := func(options int) error {
		_, err := unix.Wait4(p.pid, nil, options, nil)
		return err
	}
	if err := inTurn(
		func() error { return t.kill(p.pid, unix.SIGSTOP, 0, p.signaled(unix.SIGSTOP, siUser, delivered)) },
		func() error { t.listChild(p, cldStopped); return await(unix.WUNTRACED) },
		func() error { return t.kill(p.pid, unix.SIGCONT, 0, p.signaled(unix.SIGCONT, siUser, ignored)) },
		func() error { t.listChild(p, cldContinued); return await(unix.WCONTINUED) },
		func() error {
			return t.kill(t.killed.pid, unix.SIGKILL, 0, t.killed.signaled(unix.SIGKILL, siUser, delivered))
		},
	); err != nil {
		return err
	}
	t.listChild(t.killed, cldKilled)
	t.killed.end() // says that it was killed
	for _, p := range []*target{p, t.alone, t.group[0], t.group[1]} {
		if err := t.listEnd(p); err != nil {
			return err
		}
	}
	return nil
}
