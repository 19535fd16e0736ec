// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os/exec"
	"os/signal"

	"golang.org/x/sys/unix"
)

// target is a process of one thread that waits for the end of its input, to receive signals. It
// ignores SIGUSR1.
type target struct {
	cmd   *exec.Cmd
	pid   int
	stdin io.Closer
	gone  bool
}

// The name of the targets' program.
const targetComm = "cat"

// targets are all that are needed. They are started before the events are caused.
type targets struct {
	alone, stopped, killed *target
	group                  [2]*target // of a process group of their own
}

func startTargets() (*targets, error) {
	signal.Ignore(unix.SIGUSR1) // targets inherit that
	ts := &targets{}
	var err error
	for _, at := range []**target{&ts.alone, &ts.stopped, &ts.killed} {
		if *at, err = startTarget(nil); err != nil {
			return nil, errors.Join(err, ts.stop())
		}
	}
	for i := range ts.group {
		pgid := 0 // the first one's
		if i > 0 {
			pgid = ts.group[0].pid
		}
		if ts.group[i], err = startTarget(&unix.SysProcAttr{Setpgid: true, Pgid: pgid}); err != nil {
			return nil, errors.Join(err, ts.stop())
		}
	}
	signal.Reset(unix.SIGUSR1)
	return ts, nil
}

func startTarget(attr *unix.SysProcAttr) (*target, error) {
	cmd := exec.Command(targetComm)
	cmd.SysProcAttr = attr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a process: %w", err)
	}
	return &target{cmd: cmd, pid: cmd.Process.Pid, stdin: stdin}, nil
}

func (ts *targets) all() []*target {
	return append([]*target{ts.alone, ts.stopped, ts.killed}, ts.group[:]...)
}

// stop ends those that still run.
func (ts *targets) stop() error {
	var errs []error
	for _, p := range ts.all() {
		if p != nil && !p.gone {
			errs = append(errs, p.end())
		}
	}
	return errors.Join(errs...)
}

// end lets it exit.
func (p *target) end() error {
	p.gone = true
	p.stdin.Close()
	return p.cmd.Wait()
}

// signaled is the event of a signal to p.
func (p *target) signaled(sig unix.Signal, code int, result string) Event {
	return to(targetComm, p.pid, p.pid, true, sig, code, result)
}

// listChild lists the event with which p tells this process that something has happened to it. Which
// thread is told depends on who started p, and what becomes of it on whether the last one has been
// noticed.
func (t *thread) listChild(p *target, code int) {
	e := Event{Proc: t.Proc.Child(targetComm, p.pid), TPID: t.Proc.PID, SigRaw: int(unix.SIGCHLD), CodeRaw: code, Group: true}
	t.Events = append(t.Events, e.complete())
}

// listEnd lets p exit and lists that.
func (t *thread) listEnd(p *target) error {
	t.listChild(p, cldExited)
	return p.end()
}
