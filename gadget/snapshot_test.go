// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// snapshotBudget is what a snapshot of manyTasks may take.
const (
	manyTasks      = 10_000
	snapshotBudget = 50 * time.Millisecond
)

// threadsEnv makes the test program a process with manyTasks threads.
const threadsEnv = "GIZMO_TEST_THREADS"

// serveThreads starts threads that do nothing until the end of the input. For the kernel, and for an
// iterator over tasks, a thread is a task as a process is.
func serveThreads() int {
	debug.SetMaxThreads(2 * manyTasks)
	var started sync.WaitGroup
	for range manyTasks {
		started.Add(1)
		go func() {
			runtime.LockOSThread()
			started.Done()
			select {}
		}()
	}
	started.Wait()
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// startThreads starts that process, which ends with the test, and returns its id.
func startThreads(t testing.TB) int {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), threadsEnv+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return cmd.Process.Pid
}

// openSnapshot returns the source of snapshot_process, which shows all threads time and again.
func openSnapshot(t testing.TB) pipeline.Source {
	t.Helper()
	img := parse(t, "../../gadgets/snapshot_process")
	p, ok := img.Param("show_threads")
	if !ok {
		t.Fatal("no param")
	}
	all, err := p.Parse("true")
	if err != nil {
		t.Fatal(err)
	}
	g := load(t, img, LoadOptions{
		Params: map[string]image.Value{p.Var: all},
		Fetch:  map[string]image.Fetch{"processes": {Interval: time.Nanosecond}},
	})
	return g.source(t)
}

func TestSnapshotOfManyTasks(t *testing.T) {
	kerneltest.RequireRoot(t)
	src := openSnapshot(t)
	process := startThreads(t)
	var b event.Batch
	fastest(t, snapshotBudget, func() time.Duration {
		began := time.Now()
		if err := src.Next(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		return time.Since(began)
	})
	found := 0
	pid := field(t, b.Schema, "pid")
	for _, row := range b.Rows {
		if pid.Uint(row) == uint64(process) {
			found++
		}
	}
	if found < manyTasks {
		t.Errorf("%d threads, want at least %d", found, manyTasks)
	}
}

func BenchmarkSnapshotOfManyTasks(b *testing.B) {
	src := openSnapshot(b)
	startThreads(b)
	var batch event.Batch
	b.ReportAllocs()
	for b.Loop() {
		if err := src.Next(b.Context(), &batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(batch.Rows)), "rows")
}
