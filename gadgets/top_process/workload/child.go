// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// The environment variables that make a process a child.
const (
	roleVar = "GIZMO_WORKLOAD_ROLE"
	nameVar = "GIZMO_WORKLOAD_NAME"
)

// role is a kind of process.
type role struct {
	name   string
	uid    int
	nice   int
	memory int // bytes, more than the others have
	fifo   int // its priority among real-time processes; 0: it is none
	zombie bool
}

func roles() []role {
	return []role{
		{name: "plain"},
		{name: "memory", memory: 64 << 20},
		{name: "user", uid: 12345, nice: 7},
		{name: "urgent", nice: -20},
		{name: "real-time", fifo: 30},
		{name: "zombie", zombie: true},
	}
}

// Row is a row of top_process, with the fields that are known in advance.
type Row struct {
	PID      int     `json:"pid"`
	Parent   int     `json:"ppid"`
	Comm     string  `json:"comm"`
	Nice     int     `json:"nice"`
	Priority int     `json:"priority"`
	State    string  `json:"state"`
	CPUUsage float64 `json:"cpuUsage"`
	UID      int     `json:"uid"`
	Threads  int     `json:"threadCount"`
	Virtual  int64   `json:"memoryVirtual_raw"`
	*Memory
}

// Memory is what is in RAM. It is only known of a process that has none: the kernel counts it for each processor, and its files add the
// counts up more or less exactly.
type Memory struct {
	Resident int64 `json:"memoryRSS_raw"`
	Shared   int64 `json:"memoryShared_raw"`
}

// child is a process of a role.
type child struct {
	role
	comm string
	cmd  *exec.Cmd
	in   io.WriteCloser
}

// start starts a process and waits until nothing about it changes any more.
func start(r role, comm, dir string) *child {
	c := &child{role: r, comm: comm, cmd: exec.Command("/proc/self/exe", dir)}
	c.cmd.Env = append(os.Environ(), roleVar+"="+r.name, nameVar+"="+comm)
	c.cmd.Stderr = os.Stderr
	c.in = workload.Must(c.cmd.StdinPipe())
	out := workload.Must(c.cmd.StdoutPipe())
	workload.Check("start a process", c.cmd.Start())
	workload.Must(bufio.NewReader(out).ReadBytes('\n'))
	pid := c.cmd.Process.Pid
	if r.zombie {
		_ = c.in.Close()
		workload.Check("wait for a process", workload.WaitForZombie(pid))
		return c
	}
	workload.Check("stop a process", unix.Kill(pid, unix.SIGSTOP))
	workload.Must(unix.Wait4(pid, nil, unix.WUNTRACED, nil))
	return c
}

func (c *child) end() {
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
}

// row describes the process.
func (c *child) row() Row {
	pid := c.cmd.Process.Pid
	row := Row{PID: pid, Parent: os.Getpid(), Comm: c.comm, Nice: c.nice, Priority: 20 + c.nice, State: "T", UID: c.uid}
	if c.fifo > 0 {
		row.Priority = -1 - c.fifo
	}
	if c.zombie {
		row.State, row.Threads, row.Memory = "Z", 1, &Memory{}
		return row
	}
	status := workload.Must(os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)))
	const kib = 1024
	row.Threads = int(numberOf(status, "Threads"))
	row.Virtual = numberOf(status, "VmSize") * kib
	return row
}

// numberOf returns the number of a line like "VmRSS:	  123 kB".
func numberOf(status []byte, key string) int64 {
	for line := range bytes.Lines(status) {
		if value, ok := strings.CutPrefix(string(line), key+":"); ok {
			return workload.Must(strconv.ParseInt(strings.Fields(value)[0], 10, 64))
		}
	}
	panic(key + " is not in the file status")
}

// runChild is the main function of such a process. It ends with its input.
func runChild(string) error {
	all := roles()
	r := all[slices.IndexFunc(all, func(r role) bool { return r.name == os.Getenv(roleVar) })]
	memory := make([]byte, r.memory)
	for i := 0; i < len(memory); i += 1024 {
		memory[i] = 1
	}
	workload.Check("set the nice value", unix.Setpriority(unix.PRIO_PROCESS, os.Getpid(), r.nice))
	if r.fifo > 0 {
		attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: uint32(r.fifo)}
		workload.Check("become a real-time process", unix.SchedSetAttr(os.Getpid(), &attr, 0))
	}
	workload.Check("name the process", os.WriteFile("/proc/self/comm", []byte(os.Getenv(nameVar)), 0))
	if r.uid != 0 {
		workload.Check("set the user", syscall.Setuid(r.uid))
	}
	fmt.Println("ready")
	_, err := io.Copy(io.Discard, os.Stdin)
	runtime.KeepAlive(memory)
	return err
}
