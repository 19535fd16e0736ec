// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// busyVar is the environment variable that makes a process use all the processor time that it gets.
const busyVar = "GIZMO_WORKLOAD_BUSY"

// hierarchy is where control groups are made.
type hierarchy struct {
	root    string
	version int
}

// findHierarchy finds the control groups that can have limits of processor time.
func findHierarchy() (hierarchy, error) {
	const mountPoint = "/sys/fs/cgroup"
	controllers, err := os.ReadFile(mountPoint + "/cgroup.controllers")
	if err == nil && slices.Contains(strings.Fields(string(controllers)), "cpu") {
		return hierarchy{mountPoint, 2}, nil
	}
	h := hierarchy{mountPoint + "/cpu", 1}
	_, err = os.Stat(h.root + "/cgroup.procs")
	return h, err
}

// limit is a quota and the period for which it is, in microseconds. The zero value is no limit.
type limit struct{ quota, period int }

// group is a control group, whose processes end with it.
type group struct {
	hierarchy
	folder    string
	processes []*exec.Cmd
}

// group makes a control group.
func (h hierarchy) group(path string, l limit) *group {
	g := &group{hierarchy: h, folder: filepath.Join(h.root, path)}
	if h.version == 2 { // those below get limits only if their parent lets them
		workload.Check("allow limits", os.WriteFile(filepath.Dir(g.folder)+"/cgroup.subtree_control", []byte("+cpu"), 0))
	}
	workload.Check("make a control group", os.Mkdir(g.folder, 0o755))
	switch {
	case l == limit{} && h.version == 2: // what holds up the groups is their limits, and not other processes of a busy machine
		g.write("cpu.weight", "10000")
	case l == limit{}:
		g.write("cpu.shares", "262144")
	case h.version == 2:
		g.write("cpu.max", fmt.Sprintf("%d %d", l.quota, l.period))
	default:
		g.write("cpu.cfs_period_us", strconv.Itoa(l.period))
		g.write("cpu.cfs_quota_us", strconv.Itoa(l.quota))
	}
	return g
}

func (g *group) write(file, text string) {
	workload.Check("set up a control group", os.WriteFile(filepath.Join(g.folder, file), []byte(text), 0))
}

// keepBusy starts a busy process in the group.
func (g *group) keepBusy() {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), busyVar+"=1")
	workload.Check("start a process", cmd.Start())
	g.processes = append(g.processes, cmd)
	g.write("cgroup.procs", strconv.Itoa(cmd.Process.Pid))
}

// remove ends the processes and removes the group.
func (g *group) remove() {
	for _, p := range g.processes {
		_ = p.Process.Kill()
		_ = p.Wait()
	}
	workload.Check("remove a control group", os.Remove(g.folder))
}

// beBusy uses processor time until the workload ends.
func beBusy() {
	for parent := os.Getppid(); os.Getppid() == parent; {
		for range 1_000_000 {
		}
	}
}
