// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long the test waits for something that should take no time, because the machine may be busy or emulated.
const patience = time.Minute

// process is a program with a process group of its own.
type process struct {
	name     string
	cmd      *exec.Cmd
	in       io.WriteCloser
	out, err output
	ended    chan struct{}
}

// start starts a program, which is killed at the end of the test.
func start(t *testing.T, name string, env []string, argv ...string) *process {
	t.Helper()
	p := &process{name: name, cmd: exec.Command(argv[0], argv[1:]...), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.err
	var err error
	if p.in, err = p.cmd.StdinPipe(); err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		if p.isRunning() {
			_ = syscall.Kill(-p.pid(), syscall.SIGKILL)
			<-p.ended
		}
	})
	return p
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) isRunning() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// wantEnd waits for a successful end, or one by SIGKILL, that leaves no process behind.
func (p *process) wantEnd(t *testing.T, killed bool) {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		t.Fatalf("%s did not end within %v: %s", p.name, patience, p.err.take())
	}
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || killed != (status.Signal() == syscall.SIGKILL) || !killed && status.ExitStatus() != 0 {
		t.Fatalf("%s: %v: %s", p.name, p.cmd.ProcessState, p.err.take())
	}
	eventually(t, p.name+" left no process", func() bool { return errors.Is(syscall.Kill(-p.pid(), 0), syscall.ESRCH) })
}

// endInput ends a child of the test and returns what it wrote since the last look.
func (p *process) endInput(t *testing.T) string {
	t.Helper()
	p.in.Close()
	p.wantEnd(t, false)
	return p.out.take()
}

// output takes the output of a program.
type output struct {
	linesOnly bool // and not the text

	mu    sync.Mutex
	lines int
	text  []byte
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lines += bytes.Count(p, []byte("\n"))
	if !o.linesOnly {
		o.text = append(o.text, p...)
	}
	return len(p), nil
}

// take returns the text since the last call, whole lines only.
func (o *output) take() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	end := bytes.LastIndexByte(o.text, '\n') + 1
	text := string(o.text[:end])
	o.text = append([]byte(nil), o.text[end:]...)
	return text
}

// eventually waits until holds returns true.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after %v still not: %s", patience, what)
		}
	}
}
