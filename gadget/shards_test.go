// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"runtime"
	"sync"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/gizmo-ebpf/gizmo/gadget/internal/prepare"
)

// Events of several CPUs, each with a ring of its own, come in the order of their times.
func TestShardsAreMergedByTime(t *testing.T) {
	if runtime.NumCPU() < 2 {
		t.Fatal("it takes two CPUs")
	}
	g := start(t, parse(t, "times"), LoadOptions{Shards: 2, BufferSize: 1 << 20})
	const each = 5000
	var wg sync.WaitGroup
	for cpu := range 2 {
		wg.Go(func() {
			pin(t, cpu)
			for i := range each {
				g.call(uint16(i))
			}
		})
	}
	wg.Wait()
	src := g.source(t)
	s := src.Schemas()[0]
	cpu, at := field(t, s, "cpu"), field(t, s, "time_raw")
	found := drain(t, src)
	if len(found.rows) != 2*each || len(found.lost) > 0 {
		t.Fatalf("%d events, lost %v, want %d", len(found.rows), found.lost, 2*each)
	}
	changes, last := 0, uint64(0)
	for i, row := range found.rows {
		if now := at.Uint(row); now < last {
			t.Fatalf("event %d is %d ns older than the one before", i, last-now)
		} else {
			last = now
		}
		if i > 0 && cpu.Uint(row) != cpu.Uint(found.rows[i-1]) {
			changes++
		}
	}
	if changes == 0 {
		t.Error("the CPUs did not take turns: nothing was merged")
	}
}

// Each shard is a separate ring buffer; together they are as large as one would be.
func TestShardsShareTheBuffer(t *testing.T) {
	for want, asked := range map[int][]int{1: {0, 1}, 2: {2}, 4: {3, 4}, 64: {64}} {
		for _, n := range asked {
			g := load(t, parse(t, "times"), LoadOptions{Shards: n, BufferSize: 1 << 20})
			got, bytes := 0, uint32(0)
			for i := range MaxShards {
				if m := g.coll.Maps[prepare.ShardName("events", i)]; m != nil {
					got, bytes = got+1, bytes+m.MaxEntries()
				}
			}
			if want == 1 {
				if m := g.coll.Maps["events"]; got != 0 || m.MaxEntries() != 1<<20 {
					t.Errorf("%d shards asked: %d rings, the buffer has %d bytes", n, got, m.MaxEntries())
				}
				continue
			}
			if got != want || bytes != 1<<20 {
				t.Errorf("%d shards asked: %d rings of %d bytes together", n, got, bytes)
			}
		}
	}
	for _, n := range []int{-1, 65} {
		if g, err := Load(parse(t, "times"), &LoadOptions{Shards: n}); err == nil {
			t.Errorf("%d shards are accepted", n)
			g.Close()
		}
	}
}

// A perf buffer has no shards, because there is one for each CPU anyway.
func TestPerfBuffersHaveNoShards(t *testing.T) {
	g := start(t, parse(t, "times"), LoadOptions{Shards: 2, PerfBuffer: true})
	g.call(1)
	if n := len(drain(t, g.source(t)).rows); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
	if g.coll.Maps["events"].Type() != ebpf.PerfEventArray {
		t.Error("no perf buffer")
	}
}
