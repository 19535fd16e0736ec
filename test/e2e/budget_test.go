// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// The limits that users can expect on an idle machine. A test allows three times as long, because its machine is
// not idle; memory and size do not depend on that.
const (
	startBudget  = 150 * time.Millisecond
	stopBudget   = 100 * time.Millisecond
	binaryBudget = 40_000_000
	idleBudget   = 0.0005 // of a processor, on a busy machine, too
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

// Waiting for events takes no time of the processor, and none of gizmo's threads wakes up.
func TestIdleRunSleeps(t *testing.T) {
	kerneltest.RequireRoot(t)
	o := startOpener(t) // which opens nothing
	g := start(t, setup{}, "run", "trace_open", "-o", "json", "--pid", o.pid())
	g.waitAttached(t)
	time.Sleep(time.Second) // it releases the memory of the start
	share, wakeUps := 1.0, 1<<30
	// Go's own goroutines may wake up, and other tests start containers meanwhile, of which gizmo is told.
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end) && (share > idleBudget || wakeUps > 0); {
		before, since, switches := cpuTime(t, g.cmd.Process.Pid), time.Now(), switchesOf(t, g.cmd.Process.Pid)
		time.Sleep(2 * time.Second)
		share = min(share, float64(cpuTime(t, g.cmd.Process.Pid)-before)/float64(time.Since(since)))
		wakeUps = min(wakeUps, switchesOf(t, g.cmd.Process.Pid)-switches)
	}
	o.open(t, 1, "/proc/version")
	eventually(t, "the event after the rest comes out", func() bool { return g.out.Len() > 0 })
	g.interrupt(t)
	t.Logf("an idle run takes %.3f %% of a processor (budget %.3f %%), %d wake-ups in 2 s", 100*share, 100*idleBudget, wakeUps)
	if share > idleBudget || wakeUps > 0 {
		t.Errorf("an idle run takes %.3f %% of a processor, and wakes up %d times in 2 s", 100*share, wakeUps)
	}
}

var switchLine = regexp.MustCompile(`(?m)^(?:non)?voluntary_ctxt_switches:\s+(\d+)$`)

// switchesOf returns how often the threads of a process gave up the processor, which each does once for each wake-up.
func switchesOf(t *testing.T, pid int) (n int) {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(files) == 0 {
		t.Fatalf("no threads of process %d: %v", pid, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range switchLine.FindAllSubmatch(text, -1) {
			n += numbers([]string{string(m[1])})[0]
		}
	}
	return n
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
