// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/test/vm/again"
	"github.com/gizmo-ebpf/gizmo/test/vm/order"
)

// runOrder runs the programs that no other guest has taken, one after another, and writes how it went.
func runOrder() error {
	o, err := readOrder()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(filepath.Join(order.Answer, order.Output), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer out.Close()
	forever := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &forever); err != nil {
		return fmt.Errorf("raise the limit of locked memory: %w", err)
	}
	fmt.Fprintln(out, order.Started)
	result := order.Passed
	for i, p := range o.Programs {
		taken, err := order.Take(order.Queue, i)
		if err != nil {
			return fmt.Errorf("take a program: %w", err)
		}
		if taken && !run(p, o.Env, out) {
			result = order.Failed
		}
	}
	return os.WriteFile(filepath.Join(order.Answer, order.Result), []byte(result), 0o644)
}

// run runs a program and adds the line that "go test" would. In CI, tests that failed run again.
func run(p order.Program, env []string, out *os.File) bool {
	env = append(env, "TMPDIR="+order.Temp, "XDG_CACHE_HOME="+order.Cache)
	once := func(argv []string, out io.Writer) (*os.ProcessState, error) { return runOnce(p, argv, env, out) }
	start := time.Now()
	state, err := again.Run(slices.Contains(env, "CI=true"), p.Argv, out, once)
	took := time.Since(start).Seconds()
	switch {
	case err != nil:
		fmt.Fprintf(out, "FAIL\t%s: %v\n", p.Name, err)
	case !state.Success():
		fmt.Fprintf(out, "FAIL\t%s\t%.3fs (%v)\n", p.Name, took, state)
	default:
		fmt.Fprintf(out, "ok  \t%s\t%.3fs\n", p.Name, took)
	}
	return err == nil && state.Success()
}

// runOnce runs a program with these arguments, and ends the processes that it leaves behind.
func runOnce(p order.Program, argv, env []string, out io.Writer) (*os.ProcessState, error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	// Through a pipe: of a file on the host, the processes of a program would each have their own
	// idea of where it ends.
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = cmd.Stdout
	cmd.Dir, cmd.Env = p.Dir, env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		io.Copy(out, pipe)
	}()
	state, err := cmd.Process.Wait()
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // other processes may hold the pipe
	select {
	case <-copied:
	case <-time.After(5 * time.Second):
		fmt.Fprintf(out, "%s has left a process behind that holds its output\n", p.Name)
	}
	return state, err
}
