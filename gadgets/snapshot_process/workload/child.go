// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// The environment of the processes that are started.
const (
	roleVar = "GIZMO_WORKLOAD_ROLE"
	nameVar = "GIZMO_WORKLOAD_NAME"
)

// role is what distinguishes one process.
type role struct {
	name     string
	uid, gid int
	threads  int  // with the name, beside the first
	zombie   bool // it has ended, and its parent has not waited for it
	mounts   bool // it has a mount namespace of its own
	headless bool // its first thread has ended, and the others go on
}

func roles() []role {
	return []role{
		{name: "plain"},
		{name: "threads", threads: 3},
		{name: "user", uid: 12345, gid: 23456, threads: 1},
		{name: "mounts", mounts: true},
		{name: "zombie", zombie: true},
		{name: "headless", threads: 1, mounts: true, headless: true},
	}
}

// child is a process that was started.
type child struct {
	role    role
	name    string
	threads []int
	cmd     *exec.Cmd
	in      io.WriteCloser
}

// start starts a process and waits until it has its role.
func start(r role, name, dir string) *child {
	c := &child{role: r, name: name, cmd: exec.Command("/proc/self/exe", dir)}
	c.cmd.Env = append(os.Environ(), roleVar+"="+r.name, nameVar+"="+name)
	c.cmd.Stderr = os.Stderr
	if r.mounts {
		c.cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	}
	c.in = workload.Must(c.cmd.StdinPipe())
	out := workload.Must(c.cmd.StdoutPipe())
	workload.Check("start a process", c.cmd.Start())
	line := workload.Must(bufio.NewReader(out).ReadBytes('\n'))
	workload.Check("listen to a process", json.Unmarshal(line, &c.threads))
	if r.zombie {
		c.in.Close()
	}
	if r.zombie || r.headless {
		workload.Check("wait for a process", workload.WaitForZombie(c.cmd.Process.Pid))
	}
	return c
}

// rows are those of the process, which self has started.
func (c *child) rows(self workload.Proc) (rows []workload.Proc) {
	row := self.Child(c.name, c.cmd.Process.Pid)
	row.Creds = workload.Creds{UID: c.role.uid, GID: c.role.gid}
	row.Parent.Comm = self.Comm
	row.MntnsID = 0 // a zombie has given up its namespaces
	if !c.role.zombie {
		alive := c.threads[len(c.threads)-1]
		row.MntnsID = workload.Must(workload.Namespace(fmt.Sprintf("/proc/%d/task/%d/ns/mnt", row.PID, alive)))
	}
	for _, row.TID = range c.threads {
		rows = append(rows, row)
	}
	return rows
}

// Only a goroutine that is locked to its thread before main begins is certain to run on the first thread.
func init() { runtime.LockOSThread() }

// runChild runs in a started process: it takes its role, reports the ids of its threads
// that have the name, and waits for the end of its input.
func runChild(string) error {
	if unix.Gettid() != os.Getpid() {
		return errors.New("main does not run on the first thread")
	}
	all := roles()
	r := all[slices.IndexFunc(all, func(r role) bool { return r.name == os.Getenv(roleVar) })]
	if r.gid != 0 {
		workload.Check("set the group", syscall.Setgid(r.gid))
	}
	if r.uid != 0 {
		workload.Check("set the user", syscall.Setuid(r.uid))
	}
	workload.Check("name the process", workload.SetName(os.Getenv(nameVar)))
	ids := []int{unix.Gettid()}
	for range r.threads {
		ids = append(ids, startThread())
	}
	workload.Check("tell the threads", json.NewEncoder(os.Stdout).Encode(ids))
	if r.headless {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			os.Exit(0)
		}()
		return workload.EndFirstThread()
	}
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// startThread starts a thread with the name that does nothing, and returns its id.
func startThread() int {
	id := make(chan int)
	go func() {
		runtime.LockOSThread()
		workload.Check("name a thread", workload.SetName(os.Getenv(nameVar)))
		id <- unix.Gettid()
		select {}
	}()
	return <-id
}
