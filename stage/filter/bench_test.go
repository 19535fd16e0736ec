// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package filter_test

import (
	"slices"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/stage/filter"
)

// manyRows returns a batch of n events that are all but alike: the first of the sample, each with a pid of
// its own.
func manyRows(s *event.Schema, n int) *event.Batch {
	b := sampleBatch(s)
	row, handle := b.Rows[0], containerOf(s).At(b, 0)
	b.Rows = nil
	for i := range n {
		rec := slices.Clone(row)
		put(s, rec, "proc.pid", 1000+i)
		b.Rows = append(b.Rows, rec)
	}
	for i, handles := 0, containerOf(s).Fill(b); i < len(handles); i++ {
		handles[i] = handle
	}
	return b
}

// repeat returns a function that runs the stage on a batch that is complete again each time.
func repeat(t testing.TB, st *filter.Stage, err error, n int) func() {
	if err != nil {
		t.Fatal(err)
	}
	s := sample(t)
	f, err := st.Bind(s, event.FieldSet{})
	if err != nil {
		t.Fatal(err)
	}
	b := manyRows(s, n)
	rows, handles := slices.Clone(b.Rows), slices.Clone(containerOf(s).Handles(b))
	return func() {
		b.Rows = append(b.Rows[:0], rows...)
		copy(containerOf(s).Fill(b), handles)
		if err := f(b); err != nil {
			t.Fatal(err)
		}
	}
}

// filters of all kinds, of which those in the first list remove every event.
var (
	rejecting = []struct{ name, text string }{
		{"nothing", "proc.pid>=0"}, // keeps all: the price of the stage itself
		{"uint32", "proc.pid==12"},
		{"uint64", "size==1"},
		{"uint8", "count==1"},
		{"bitfield", "level==1"},
		{"bool", "truncated==false"},
		{"float", "ratio==0.2"},
		{"text", "proc.comm==bash"},
		{"begins", "fname~^/proc/"},
		{"contains", "fname~shadow"},
		{"regexp", "fname~^/(proc|sys)/.*[0-9]$"},
		{"errno", "error==EACCES"},
		{"flags", "flags~O_TRUNC"},
		{"timestamp", "timestamp>2024"},
		{"address", "dst.addr==10.1.2.4"},
		{"column", "runtime.containerName==db"},
		{"bytes", "hash==00000000"},
		{"wide", "wide>0"},
		{"several", "error==ENOENT,proc.comm==cat,proc.pid==12"},
		{"all of several", "error==ENOENT,proc.comm==cat,proc.pid>=1000"},
	}
	expressions = []struct{ name, text string }{
		{"one", `proc.pid == 12`},
		{"usual", `proc.pid >= 1000 && fname startsWith "/etc" && error == "EACCES"`},
		{"list", `proc.comm in ["bash", "dash", "zsh"]`},
		{"cidr", `cidr(dst.addr, "192.168.0.0/16")`},
		{"matches", `fname matches "^/(proc|sys)/.*[0-9]$"`},
	}
	// calculating are expressions whose values expr itself works on.
	calculating = []struct {
		name, text string
		allocs     int
	}{
		{"fields", `proc.pid == proc.creds.uid`, 1},
		{"arithmetic", `proc.pid % 2 == 3`, 1},
		{"length", `len(fname) == 3`, 0},
		{"concatenation", `proc.comm + fname == "x"`, 2},
	}
)

func TestNoAllocations(t *testing.T) {
	for _, test := range rejecting {
		if raceDetector && test.name == "regexp" {
			continue // it makes sync.Pool, which package regexp uses, forgetful
		}
		st, err := filter.New(map[string]string{"": test.text})
		run := repeat(t, st, err, 100)
		if n := testing.AllocsPerRun(20, run); n != 0 {
			t.Errorf("%s: %v allocations for 100 events", test.text, n)
		}
	}
	for _, test := range expressions {
		if raceDetector && test.name == "matches" {
			continue
		}
		st, err := filter.NewExpr(map[string]string{"": test.text})
		run := repeat(t, st, err, 100)
		if n := testing.AllocsPerRun(20, run); n != 0 {
			t.Errorf("%s: %v allocations for 100 events", test.text, n)
		}
	}
}

// TestAllocationsOfExpr checks the bound that the documentation names.
func TestAllocationsOfExpr(t *testing.T) {
	for _, test := range calculating {
		st, err := filter.NewExpr(map[string]string{"": test.text})
		run := repeat(t, st, err, 100)
		if n := testing.AllocsPerRun(20, run) / 100; n > float64(test.allocs) {
			t.Errorf("%s: %v allocations for an event, want at most %d", test.text, n, test.allocs)
		}
	}
}

const batchSize = 256

// BenchmarkFilter measures filters by the event that they look at. best-ns/event is the shortest
// time of a batch, which a busy machine disturbs least.
func BenchmarkFilter(b *testing.B) {
	for _, test := range rejecting {
		b.Run(test.name, func(b *testing.B) {
			st, err := filter.New(map[string]string{"": test.text})
			measure(b, repeat(b, st, err, batchSize))
		})
	}
}

func BenchmarkExpr(b *testing.B) {
	for _, test := range expressions {
		b.Run(test.name, func(b *testing.B) {
			st, err := filter.NewExpr(map[string]string{"": test.text})
			measure(b, repeat(b, st, err, batchSize))
		})
	}
	for _, test := range calculating {
		b.Run(test.name, func(b *testing.B) {
			st, err := filter.NewExpr(map[string]string{"": test.text})
			measure(b, repeat(b, st, err, batchSize))
		})
	}
}

func measure(b *testing.B, run func()) {
	b.ReportAllocs()
	run()
	best := time.Duration(1<<63 - 1)
	for b.Loop() {
		start := time.Now()
		run()
		best = min(best, time.Since(start))
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batchSize), "ns/event")
	b.ReportMetric(float64(best.Nanoseconds())/batchSize, "best-ns/event")
}
