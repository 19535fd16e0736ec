// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"os/exec"
	"os/signal"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// target is a process of one thread that waits for the end of its input, to receive signals. It
// ignores SIGUSR1.
type target struct {
	cmd   *exec.Cmd
	pid   int
	stdin io.Closer
}

// The name of the targets' program.
const targetComm = "cat"

// targets are all that are needed. They are started before the events are caused.
type targets struct {
	alone, stopped, killed *target
	group                  [2]*target // of a process group of their own
}

// startTargets starts them. Without this process they get the end of their input, and exit.
func startTargets() *targets {
	signal.Ignore(unix.SIGUSR1) // targets inherit that
	ts := &targets{alone: startTarget(nil), stopped: startTarget(nil), killed: startTarget(nil)}
	ts.group[0] = startTarget(&unix.SysProcAttr{Setpgid: true})
	ts.group[1] = startTarget(&unix.SysProcAttr{Setpgid: true, Pgid: ts.group[0].pid})
	signal.Reset(unix.SIGUSR1)
	return ts
}

func startTarget(attr *unix.SysProcAttr) *target {
	cmd := exec.Command(targetComm)
	cmd.SysProcAttr = attr
	stdin := workload.Must(cmd.StdinPipe())
	workload.Check("start a process", cmd.Start())
	return &target{cmd: cmd, pid: cmd.Process.Pid, stdin: stdin}
}

// end lets it exit.
func (p *target) end() error {
	p.stdin.Close()
	return p.cmd.Wait()
}

// signaled is the event of a signal to p.
func (p *target) signaled(sig unix.Signal, code int, result string) Event {
	return to(targetComm, p.pid, p.pid, true, sig, code, result)
}

// listChild lists the event of the signal by which this process learns of a change of p. Which
// thread gets the signal depends on which one started p, and the result on whether the last such signal is still
// pending.
func (t *thread) listChild(p *target, code int) {
	e := Event{Proc: t.Proc.Child(targetComm, p.pid), TPID: t.Proc.PID, SigRaw: int(unix.SIGCHLD), CodeRaw: code, Group: true}
	t.Events = append(t.Events, e.complete())
}
