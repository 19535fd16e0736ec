// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

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

// run runs a program and adds the line that "go test" would.
func run(p order.Program, env []string, out *os.File) bool {
	cmd := exec.Command(p.Argv[0], p.Argv[1:]...)
	// Through a pipe: of a file on the host, the processes of a program would each have their own
	// idea of where it ends.
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		fmt.Fprintf(out, "FAIL\t%s: %v\n", p.Name, err)
		return false
	}
	cmd.Stderr = cmd.Stdout
	cmd.Dir, cmd.Env = p.Dir, append(env, "TMPDIR="+order.Temp, "XDG_CACHE_HOME="+order.Cache)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		fmt.Fprintf(out, "FAIL\t%s: %v\n", p.Name, err)
		return false
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
	took := time.Since(start).Seconds()
	if err != nil || !state.Success() {
		fmt.Fprintf(out, "FAIL\t%s\t%.3fs (%v)\n", p.Name, took, state)
		return false
	}
	fmt.Fprintf(out, "ok  \t%s\t%.3fs\n", p.Name, took)
	return true
}
