// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// nameVar is in the environment of the process whose first thread ends, and has its name.
const nameVar = "GIZMO_WORKLOAD_NAME"

// headless is a process whose first thread has ended. It has several others, a mount namespace of its
// own, and the descriptors that it came with.
type headless struct {
	cmd *exec.Cmd
	in  io.WriteCloser
}

// startHeadless starts the process and returns the rows of its descriptors.
func startHeadless(name, dir string) (*headless, []Row, error) {
	h := &headless{cmd: exec.Command("/proc/self/exe", dir)}
	h.cmd.Env = append(os.Environ(), nameVar+"="+name)
	h.cmd.Stderr = os.Stderr
	h.cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	var err error
	if h.in, err = h.cmd.StdinPipe(); err != nil {
		return nil, nil, err
	}
	out, err := h.cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := h.cmd.Start(); err != nil {
		return nil, nil, err
	}
	var rows []Row
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &rows)
	}
	if err == nil {
		err = workload.WaitForZombie(h.cmd.Process.Pid)
	}
	if err != nil {
		h.stop()
		return nil, nil, fmt.Errorf("a process without its first thread: %w", err)
	}
	return h, rows, nil
}

func (h *headless) stop() {
	h.in.Close()
	_ = h.cmd.Wait()
}

// beHeadless is what the process does: it names its threads, tells the rows of its descriptors, and
// waits for the end of its input without its first thread.
func beHeadless(string) error {
	runtime.LockOSThread()
	if err := nameThreads(os.Getenv(nameVar)); err != nil {
		return err
	}
	rows, err := (&opener{}).describe()
	if err != nil {
		return err
	}
	for i := range rows {
		rows[i].TID = 0 // which of its threads the kernel takes is not known
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	if err := json.NewEncoder(os.Stdout).Encode(rows); err != nil {
		return err
	}
	return workload.EndFirstThread()
}

// nameThreads gives all threads a name.
func nameThreads(name string) error {
	names, err := filepath.Glob("/proc/self/task/*/comm")
	if err != nil {
		return err
	}
	for _, file := range names {
		if err := os.WriteFile(file, []byte(name), 0); err != nil {
			return err
		}
	}
	return nil
}
