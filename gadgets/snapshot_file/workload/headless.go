// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
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

// startHeadless starts a process whose first thread ends. It has several others, a mount namespace of its
// own, and the descriptors that it came with, whose rows startHeadless returns. The caller stops it.
func startHeadless(name, dir string) (stop func(), rows []Row) {
	cmd := exec.Command("/proc/self/exe", dir)
	cmd.Env = append(os.Environ(), nameVar+"="+name)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	in := workload.Must(cmd.StdinPipe())
	out := workload.Must(cmd.StdoutPipe())
	workload.Check("start a process", cmd.Start())
	line := workload.Must(bufio.NewReader(out).ReadBytes('\n'))
	workload.Check("listen to a process", json.Unmarshal(line, &rows))
	workload.Check("wait for a thread", workload.WaitForZombie(cmd.Process.Pid))
	return func() { // the process ends with its input
		in.Close()
		_ = cmd.Wait()
	}, rows
}

// beHeadless runs in the process: it names its threads, reports the rows of its descriptors, and
// waits for the end of its input without its first thread.
func beHeadless(string) error {
	runtime.LockOSThread()
	nameThreads(os.Getenv(nameVar))
	rows := (&opener{}).describe()
	for i := range rows {
		rows[i].TID = 0 // which of its threads the kernel takes is not known
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	workload.Check("tell the rows", json.NewEncoder(os.Stdout).Encode(rows))
	return workload.EndFirstThread()
}

// nameThreads gives all threads a name.
func nameThreads(name string) {
	for _, file := range workload.Must(filepath.Glob("/proc/self/task/*/comm")) {
		workload.Check("name a thread", os.WriteFile(file, []byte(name), 0))
	}
}
