// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/fixture"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/internal/uname"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// byCPU is a sink that counts events by the CPU that they happened on.
type byCPU struct {
	cpu  *event.Field
	rows map[int]uint64
}

func (s *byCPU) Bind(*event.Schema) (event.FieldSet, error) { return event.FieldSet{}, nil }

func (s *byCPU) Write(b *event.Batch) error {
	for _, row := range b.Rows {
		s.rows[int(s.cpu.Uint(row))]++
	}
	return nil
}

// Under overload the delivered events and the losses in the ledger add up, for each CPU, to the events that
// happened there, and the ledger names the cause.
func TestLedgerClosesForEachCPU(t *testing.T) {
	testLedgerCloses(t, "times")
}

// The same for a gadget whose functions pass buffers on by their addresses.
func TestLedgerClosesForBuffersPassedOn(t *testing.T) {
	testLedgerCloses(t, "passed")
}

func testLedgerCloses(t *testing.T, fixture string) {
	buffers(t, func(t *testing.T, o LoadOptions) {
		o.BufferSize = 16 << 10
		g := start(t, parse(t, fixture), o)
		sink := &byCPU{cpu: field(t, g.source(t).Schemas()[0], "cpu"), rows: make(map[int]uint64)}
		ledger := &pipeline.Ledger{}
		made := runUnderStorm(t, g, &pipeline.Runner{Sources: g.Sources(), Sinks: []pipeline.NamedSink{{Sink: sink}}, Ledger: ledger})
		got := maps.Clone(sink.rows)
		for _, l := range ledger.Account(event.SourceID{Name: "times"}, "").Losses() {
			if l.Cause != event.BufferFull {
				t.Errorf("a loss by %s", l.Cause)
			}
			got[l.CPU] += l.Count
		}
		if !maps.Equal(got, made) {
			t.Errorf("delivered and lost by CPU %v, want %v", got, made)
		}
		totals := ledger.Account(event.SourceID{Name: "times"}, "").Totals()
		if totals.Lost == 0 || totals.Delivered == 0 {
			t.Errorf("no overload: %+v", totals)
		}
		t.Logf("%+v", totals)
	})
}

// runUnderStorm runs the gadget while all CPUs, two at most, make events, and reads the ledger all the
// while. It returns how many events there were on each CPU.
func runUnderStorm(t *testing.T, g *running, runner *pipeline.Runner) map[int]uint64 {
	t.Helper()
	const each = 50_000
	runner.Stop = func() {
		if err := g.Detach(); err != nil {
			t.Error(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	made := make(map[int]uint64)
	var storm sync.WaitGroup
	for n := range min(runtime.NumCPU(), 2) {
		storm.Go(func() {
			cpu, unpin := pinThread(t, n)
			defer unpin()
			for i := range each {
				g.call(uint16(i))
			}
			mu.Lock()
			defer mu.Unlock()
			made[cpu] = each
		})
	}
	var watch sync.WaitGroup
	watch.Go(func() { wantMonotonic(t, ctx, runner.Ledger.Account(event.SourceID{Name: "times"}, "")) })
	go func() {
		defer cancel()
		storm.Wait()
	}()
	if err := runner.Run(ctx); err != nil {
		t.Error(err)
	}
	watch.Wait()
	return made
}

// wantMonotonic reads the account until ctx is done, and nothing in it ever gets less.
func wantMonotonic(t *testing.T, ctx context.Context, account *pipeline.Account) {
	var before pipeline.Totals
	for ctx.Err() == nil {
		now := account.Totals()
		if now.Delivered < before.Delivered || now.Filtered < before.Filtered || now.Lost < before.Lost {
			t.Errorf("%+v came after %+v", now, before)
			return
		}
		before = now
		runtime.Gosched()
	}
}

// Runs that the kernel skips are counted apart. Of tracepoints it counts them since Linux 6.7.
func TestMissedRunsAreCounted(t *testing.T) {
	g := start(t, parse(t, "nested"), LoadOptions{})
	const sent = 50
	for range sent {
		g.call(0)
	}
	stats, err := g.Stats()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range stats {
		want := uint64(0)
		if s.Name == "inner" && uname.AtLeast(6, 7) {
			want = sent
		}
		if s.Missed < want || s.Missed > want+sent { // others may send signals to each other
			t.Errorf("%s: the kernel skipped %d runs, want %d", s.Name, s.Missed, want)
		}
	}
}

func TestPossibleCPUs(t *testing.T) {
	t.Parallel()
	for _, possible := range [][]int{{0}, {0, 1}, {0, 1, 2, 3}} {
		if err := checkPossibleCPUs(possible); err != nil {
			t.Error(possible, err)
		}
	}
	for _, possible := range [][]int{{1}, {0, 2}, {0, 1, 4, 5}} {
		err := checkPossibleCPUs(possible)
		if !errors.Is(err, ErrNotYetSupported) || !strings.Contains(err.Error(), fmt.Sprint(possible)) {
			t.Errorf("%v: got %v", possible, err)
		}
	}
}

// Ring buffers are not locked memory, perf buffers are.
func TestLimitOfLockedMemory(t *testing.T) {
	kerneltest.RequireRoot(t) // to give privileges away
	for _, c := range []struct {
		name, options string
		caps          []uintptr
		code          int
		want          string
	}{
		{"rings", "", nil, 0, "loaded <nil>\n"},
		{"large perf buffers", perfOption, nil, 2, "missing privileges: open the perf buffers, which are locked memory: they need CAP_IPC_LOCK"},
		{"small perf buffers", perfOption + smallOption, nil, 0, "loaded <nil>\n"},
		{"privileged", perfOption, []uintptr{unix.CAP_IPC_LOCK}, 0, "loaded <nil>\n"},
	} {
		switch paranoid := perfParanoia(t); {
		case paranoid < 0 && c.code > 0:
			continue // then there is no limit
		case paranoid > 2 && c.options != "": // a distribution's addition
			c.code, c.want = 2, "missing privileges: open the perf buffers: this kernel lets only root"
		}
		cmd := unprivileged(fixture.Compile(t, "times").Object, append(c.caps, unix.CAP_BPF, unix.CAP_PERFMON)...)
		cmd.Env = append(cmd.Env, unprivilegedEnv+"="+lockedOption+c.options)
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != c.code || !strings.Contains(string(out), c.want) {
			t.Errorf("%s: exit code %d, %s; want %d, %s", c.name, code, out, c.code, c.want)
		}
	}
}

func perfParanoia(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/sys/kernel/perf_event_paranoid")
	if err != nil {
		t.Fatal(err)
	}
	level, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return level
}
