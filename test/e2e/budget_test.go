// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// The limits that users can expect on an idle machine. A test allows three times as long, because its machine is
// not idle; memory and size do not depend on that.
const (
	startBudget  = 150 * time.Millisecond
	stopBudget   = 100 * time.Millisecond
	memoryBudget = 32 << 20 // without the event buffer
	binaryBudget = 40_000_000
	idleBudget   = 0.02 // of a processor
	slack        = 3
	attempts     = 5 // of which the best counts
)

// The time from the start of the program to the first event on its output, and from Ctrl-C to its
// end.
func TestLatencyBudgets(t *testing.T) {
	kerneltest.RequireRoot(t)
	first, end := time.Hour, time.Hour
	for range attempts {
		f, e := measureRun(t)
		first, end = min(first, f), min(end, e)
	}
	t.Logf("exec to first event %v (budget %v), Ctrl-C to exit %v (budget %v)", first, startBudget, end, stopBudget)
	if first > slack*startBudget {
		t.Errorf("the first event came after %v; the budget is %v", first, startBudget)
	}
	if end > slack*stopBudget {
		t.Errorf("the run ended %v after Ctrl-C; the budget is %v", end, stopBudget)
	}
}

func measureRun(t *testing.T) (first, end time.Duration) {
	t.Helper()
	o := startOpener(t)
	g := start(t, setup{}, "run", "trace_open", "-o", "json", "--pid", o.pid())
	eventually(t, "an event comes out", func() bool {
		o.open(t, 1, "/proc/version")
		return g.out.Len() > 0
	})
	interrupted := time.Now()
	g.interrupt(t)
	return g.out.firstAt().Sub(g.started), time.Since(interrupted)
}

// TestMemoryBudget checks the memory that gizmo itself takes. The kernel's figures include the pages of the event
// buffer, which gizmo shares with the kernel; but their number depends on the machine's CPUs and memory: 8
// MiB for each CPU, whatever gizmo does.
func TestMemoryBudget(t *testing.T) {
	kerneltest.RequireRoot(t)
	o := startOpener(t)
	g := start(t, setup{}, "run", "trace_open", "-o", "json", "--pid", o.pid())
	g.waitAttached(t)
	const opened = 100_000
	o.open(t, opened, "/proc/version")
	eventually(t, "the last event comes out", func() bool {
		o.open(t, 1, "/proc/nonexistent/last")
		return lastPath.MatchString(g.out.tail(4096))
	})
	all, buffers := peakMemory(t, g.cmd.Process.Pid), bufferMemory(t, g.cmd.Process.Pid)
	g.interrupt(t)
	t.Logf("peak resident memory after %d events: %.1f MiB (budget %d) and %.1f MiB of buffers",
		opened, float64(all-buffers)/(1<<20), memoryBudget>>20, float64(buffers)/(1<<20))
	if buffers == 0 || all <= buffers {
		t.Errorf("of %d bytes, %d are of buffers", all, buffers)
	}
	if all-buffers > memoryBudget {
		t.Errorf("peak resident memory of %d bytes; the budget is %d", all-buffers, memoryBudget)
	}
}

var lastPath = regexp.MustCompile(`"fname":"/proc/nonexistent/last"`)

var highWater = regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`)

// peakMemory returns the peak memory of a running process. The kernel's figures for an ended process would
// include the memory of the test, because the process was a copy of the test before exec.
func peakMemory(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	m := highWater.FindSubmatch(status)
	if m == nil {
		t.Fatalf("no VmHWM in %s", status)
	}
	n, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return n << 10
}

var mapMemory = regexp.MustCompile(`(?m)^.* anon_inode:bpf-map\n(?:[A-Z].*\n)*?Rss:\s+(\d+) kB$`)

// bufferMemory returns how much memory of a process belongs to maps that it shares with the kernel. All pages of a
// buffer are in memory as soon as it is mapped, so they are a part of the peak.
func bufferMemory(t *testing.T, pid int) int {
	t.Helper()
	smaps, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps", pid))
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for _, m := range mapMemory.FindAllSubmatch(smaps, -1) {
		n, err := strconv.Atoi(string(m[1]))
		if err != nil {
			t.Fatal(err)
		}
		sum += n << 10
	}
	return sum
}

func TestBinaryBudget(t *testing.T) {
	st, err := os.Stat(gizmoPath)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the program has %.1f MB (budget %d)", float64(st.Size())/1e6, binaryBudget/1_000_000)
	if st.Size() > binaryBudget {
		t.Errorf("the program has %d bytes; the budget is %d", st.Size(), binaryBudget)
	}
}

// Waiting for events takes no time of the processor.
func TestIdleRunSleeps(t *testing.T) {
	kerneltest.RequireRoot(t)
	o := startOpener(t) // which opens nothing
	g := start(t, setup{}, "run", "trace_open", "-o", "json", "--pid", o.pid())
	g.waitAttached(t)
	share := 1.0
	for range attempts {
		time.Sleep(200 * time.Millisecond)
		share = min(share, cpuShare(t, g.cmd.Process.Pid, 200*time.Millisecond))
	}
	g.interrupt(t)
	t.Logf("an idle run takes %.1f %% of a processor (budget %.1f %%)", 100*share, 100*idleBudget)
	if share > slack*idleBudget {
		t.Errorf("an idle run takes %.1f %% of a processor", 100*share)
	}
}

// cpuShare is the part of a processor that a process takes for a while.
func cpuShare(t *testing.T, pid int, while time.Duration) float64 {
	t.Helper()
	before, since := cpuTime(t, pid), time.Now()
	time.Sleep(while)
	return float64(cpuTime(t, pid)-before) / float64(time.Since(since))
}

// cpuTime returns the CPU time that a process has used.
func cpuTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(files) == 0 {
		t.Fatalf("no scheduling statistics of process %d: %v", pid, err)
	}
	var sum time.Duration
	for _, file := range files {
		var ran int64
		text, err := os.ReadFile(file)
		if err == nil {
			_, err = fmt.Sscan(string(text), &ran)
		}
		if err != nil {
			t.Fatal(err)
		}
		sum += time.Duration(ran)
	}
	return sum
}
