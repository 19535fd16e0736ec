// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// tracer is a program that observes while a load is made, and reports when it ends.
type tracer struct {
	cmd   *exec.Cmd
	errs  bytes.Buffer
	ended chan error
}

// usage is what a program, with the programs that it ran, has used.
type usage struct {
	cpu, user float64 // seconds
	peak      float64 // MiB
}

func (u *usage) add(p *os.ProcessState) {
	u.user += p.UserTime().Seconds()
	u.cpu += p.UserTime().Seconds() + p.SystemTime().Seconds()
	u.peak = max(u.peak, float64(p.SysUsage().(*syscall.Rusage).Maxrss)/1024)
}

// unableError says why a program observes nothing on this machine.
type unableError struct{ why string }

func (e *unableError) Error() string { return "it ended before it began: " + e.why }

// startTracer starts a program and waits until it has begun. The error is an unableError if it ends before.
func startTracer(args, env []string, out *os.File, begun func(pid int) bool) (*tracer, error) {
	t := &tracer{cmd: program(args), ended: make(chan error, 1)}
	t.cmd.Env = append(os.Environ(), env...)
	t.cmd.Stderr = &t.errs
	if out != nil {
		t.cmd.Stdout = out
	}
	if err := t.cmd.Start(); err != nil {
		return nil, &unableError{err.Error()}
	}
	go func() { t.ended <- t.cmd.Wait() }()
	for start := time.Now(); ; {
		select {
		case err := <-t.ended:
			return nil, &unableError{fmt.Sprintf("%v: %s", err, lastLine(t.errs.String()))}
		case <-time.After(100 * time.Millisecond):
		}
		if begun(t.cmd.Process.Pid) {
			return t, nil
		}
		if time.Since(start) > time.Minute {
			t.kill()
			return nil, fmt.Errorf("it has not begun within a minute: %w\n%s", <-t.ended, t.errs.String())
		}
	}
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}

// kill ends the program if it is still there.
func (t *tracer) kill() { _ = t.cmd.Process.Kill() }

// stop ends the program as Ctrl-C does, and waits until it has reported.
func (t *tracer) stop() (u usage, err error) {
	_ = t.cmd.Process.Signal(os.Interrupt) // it may have ended
	select {
	case err = <-t.ended:
	case <-time.After(time.Minute):
		_ = t.cmd.Process.Kill()
		return u, errors.Join(errors.New("it did not end within a minute"), <-t.ended)
	}
	if err != nil && !wasInterrupted(err) {
		return u, fmt.Errorf("%w\n%s", err, t.errs.String())
	}
	u.add(t.cmd.ProcessState)
	return u, nil
}
