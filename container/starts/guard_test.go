// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package starts

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test program is the guard, and a process that starts one.
const (
	guardMode  = "guard"
	ownerMode  = "owner"
	absentMode = "exit"
)

func TestMain(m *testing.M) {
	mode := ""
	if len(os.Args) == 2 {
		mode = os.Args[1]
	}
	switch mode {
	case guardMode:
		if err := Serve(func() {}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case ownerMode:
		owner()
	case absentMode:
		_ = unix.Kill(os.Getpid(), unix.SIGKILL) // an exit takes a second with the race detector
	default:
		os.Exit(m.Run())
	}
}

// owner prints the containers that its guard sees, until its input ends.
func owner() {
	var mu sync.Mutex
	g, err := StartGuard([]string{os.Args[0], guardMode}, nil, func(_ context.Context, s Start) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Println(s.ID, commOf(s.PID))
	})
	if err == nil {
		_, err = g.Ready()
	}
	fmt.Println("ready", err)
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func startGuard(t *testing.T, creating func(s Start), created func(ctx context.Context, s Start)) *Guard {
	t.Helper()
	g, err := StartGuard([]string{os.Args[0], guardMode}, creating, created)
	must(t, err)
	watched, err := g.Ready()
	must(t, err)
	if !slices.Equal(watched, Binaries()) {
		t.Errorf("it watches %q", watched)
	}
	return g
}

// A container that a guard sees waits for the process that started the guard.
func TestGuardTellsOfContainers(t *testing.T) {
	b := newBed(t)
	id := fmt.Sprintf("guarded-%d", os.Getpid())
	seen := make(chan string, 2)
	creating := func(s Start) {
		if s.Bundle != b.dir {
			return // of another test on this machine
		}
		seen <- fmt.Sprint(s.Runtime, " ", s.ID, " ", s.Bundle, " ", s.PID)
	}
	g := startGuard(t, creating, func(_ context.Context, s Start) {
		if s.Bundle != b.dir {
			return
		}
		time.Sleep(10 * time.Millisecond) // the container waits
		known, err := s.Identity()
		must(t, err)
		seen <- known.ID + " " + known.Name + " " + commOf(known.PID)
	})
	b.start(t, id)
	must(t, g.Close())
	if got, want := <-seen, "runc "+id+" "+b.dir+" 0"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := <-seen, id+" sleeper runc:[2:INIT]"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := syscall.Kill(g.cmd.Process.Pid, 0); !errors.Is(err, unix.ESRCH) {
		t.Errorf("the guard is left: %v", err)
	}
}

// Containers start while the process that wants to know of them is stopped. The guard ends when that process is killed.
func TestGuardOfAStoppedProcess(t *testing.T) {
	b := newBed(t)
	o := startOwner(t)
	guard := o.child(t)
	if session, err := unix.Getsid(guard); session != guard {
		t.Errorf("a terminal can stop the guard: it is in session %d, %v", session, err)
	}
	must(t, o.cmd.Process.Signal(unix.SIGSTOP))
	begin := time.Now()
	for i := range 3 {
		b.start(t, fmt.Sprintf("stopped-%d-%d", os.Getpid(), i)) // which would hang
	}
	t.Logf("three containers started in %v", time.Since(begin))
	must(t, o.cmd.Process.Signal(unix.SIGCONT))
	for seen := 0; seen < 3; {
		if strings.HasPrefix(o.line(t), fmt.Sprintf("stopped-%d-", os.Getpid())) { // others are of other tests on this machine
			seen++
		}
	}
	must(t, o.cmd.Process.Kill())
	for end := time.Now().Add(20 * time.Second); syscall.Kill(guard, 0) == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the guard is left after its owner was killed")
		}
	}
}

func TestGuardThatCannotWatch(t *testing.T) {
	if _, err := StartGuard([]string{"/nonexistent"}, nil, nil); !errors.Is(err, unix.ENOENT) {
		t.Errorf("no program: %v", err)
	}
	g, err := StartGuard([]string{os.Args[0], absentMode}, nil, nil)
	must(t, err)
	if _, err := g.Ready(); !errors.Is(err, io.EOF) {
		t.Errorf("a program that ends at once: %v", err)
	}
	must(t, g.Close())
}

func TestServeNeedsASocket(t *testing.T) {
	o := startProcess(t, guardMode)
	if err := o.cmd.Wait(); err == nil || !strings.Contains(o.err.String(), "only gizmo itself starts") {
		t.Errorf("%v: %s", err, o.err.String())
	}
}

// process is the test program in one of its modes.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	err strings.Builder
}

func startProcess(t *testing.T, mode string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(os.Args[0], mode)}
	p.cmd.Stderr = &p.err
	var err error
	p.in, err = p.cmd.StdinPipe()
	must(t, err)
	out, err := p.cmd.StdoutPipe()
	must(t, err)
	p.out = bufio.NewReader(out)
	must(t, p.cmd.Start())
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	return p
}

func startOwner(t *testing.T) *process {
	t.Helper()
	p := startProcess(t, ownerMode)
	if got := p.line(t); got != "ready <nil>" {
		t.Fatalf("got %q", got)
	}
	return p
}

func (p *process) line(t *testing.T) string {
	t.Helper()
	line, err := p.out.ReadString('\n')
	must(t, err)
	return strings.TrimSuffix(line, "\n")
}

// child returns the process that the process has started.
func (p *process) child(t *testing.T) int {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", p.cmd.Process.Pid))
	must(t, err)
	for _, path := range tasks {
		text, err := os.ReadFile(path)
		must(t, err)
		if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
			return pid
		}
	}
	t.Fatal("no child")
	return 0
}
