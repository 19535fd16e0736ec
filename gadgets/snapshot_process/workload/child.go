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
	zombie   bool // it has ended, and nobody has asked for its exit code
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

// start starts a process and waits until it is what its role says.
func start(r role, name, dir string) (*child, error) {
	c := &child{role: r, name: name, cmd: exec.Command("/proc/self/exe", dir)}
	c.cmd.Env = append(os.Environ(), roleVar+"="+r.name, nameVar+"="+name)
	c.cmd.Stderr = os.Stderr
	if r.mounts {
		c.cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	}
	var err error
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &c.threads)
	}
	if r.zombie {
		c.in.Close()
	}
	if err == nil && (r.zombie || r.headless) {
		err = workload.WaitForZombie(c.cmd.Process.Pid)
	}
	if err != nil {
		c.stop()
		return nil, err
	}
	return c, nil
}

// rows are those of the process, which self has started.
func (c *child) rows(self workload.Proc) ([]workload.Proc, error) {
	row := self.Child(c.name, c.cmd.Process.Pid)
	row.Creds = workload.Creds{UID: c.role.uid, GID: c.role.gid}
	row.Parent.Comm = self.Comm
	row.MntnsID = 0 // a zombie has given up its namespaces
	if !c.role.zombie {
		var err error
		alive := c.threads[len(c.threads)-1]
		if row.MntnsID, err = workload.Namespace(fmt.Sprintf("/proc/%d/task/%d/ns/mnt", row.PID, alive)); err != nil {
			return nil, err
		}
	}
	var rows []workload.Proc
	for _, row.TID = range c.threads {
		rows = append(rows, row)
	}
	return rows, nil
}

func (c *child) stop() {
	c.in.Close()
	_ = c.cmd.Wait()
}

// runChild is what a process does that was started: it takes its role, tells the ids of its threads
// that have the name, and waits for the end of its input.
func runChild(string) error {
	runtime.LockOSThread()
	if unix.Gettid() != os.Getpid() {
		return errors.New("main does not run on the first thread")
	}
	var r role
	for _, r = range roles() {
		if r.name == os.Getenv(roleVar) {
			break
		}
	}
	if err := takeIDs(r); err != nil {
		return err
	}
	ids := []int{unix.Gettid()}
	if err := workload.SetName(os.Getenv(nameVar)); err != nil {
		return err
	}
	for range r.threads {
		id, err := startThread()
		if err != nil {
			return err
		}
		ids = append(ids, id)
	}
	if err := json.NewEncoder(os.Stdout).Encode(ids); err != nil {
		return err
	}
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

func takeIDs(r role) error {
	if r.gid != 0 {
		if err := syscall.Setgid(r.gid); err != nil {
			return fmt.Errorf("set the group: %w", err)
		}
	}
	if r.uid != 0 {
		if err := syscall.Setuid(r.uid); err != nil {
			return fmt.Errorf("set the user: %w", err)
		}
	}
	return nil
}

// startThread starts a thread with the name that does nothing, and returns its id.
func startThread() (int, error) {
	id := make(chan int)
	failed := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if err := workload.SetName(os.Getenv(nameVar)); err != nil {
			failed <- err
			return
		}
		id <- unix.Gettid()
		select {}
	}()
	select {
	case id := <-id:
		return id, nil
	case err := <-failed:
		return 0, err
	}
}
