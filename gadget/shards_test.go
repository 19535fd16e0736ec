// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/gizmo-ebpf/gizmo/gadget/internal/ring"
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

// Each shard is a ring of its own, and together they are as large as one.
func TestShardsShareTheBuffer(t *testing.T) {
	for want, asked := range map[int][]int{1: {0, 1}, 2: {2}, 4: {3, 4}, 64: {64}} {
		for _, n := range asked {
			g := load(t, parse(t, "times"), LoadOptions{Shards: n, BufferSize: 1 << 20})
			got, bytes := 0, uint32(0)
			for i := range MaxShards {
				if m := g.coll.Maps[shardName("events", i)]; m != nil {
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
		if g, err := parse(t, "times").Load(&LoadOptions{Shards: n}); err == nil {
			t.Errorf("%d shards are accepted", n)
			g.Close()
		}
	}
}

// A perf buffer has no shards: it is one for each CPU anyway.
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

func TestTimeOfRecordInTwoPieces(t *testing.T) {
	t.Parallel()
	s := &shards{timeOff: 4}
	record := []byte{9, 9, 9, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9}
	for cut := range record {
		want := uint64(0x0807060504030201)
		if got := s.timeOf(record[:cut], slices.Clone(record[cut:])); got != want {
			t.Errorf("cut at %d: %x, want %x", cut, got, want)
		}
	}
	for _, short := range []int{0, 4, 11} {
		if got := s.timeOf(record[:short], nil); got != 0 {
			t.Errorf("%d bytes: %x, want 0", short, got)
		}
	}
	none := &shards{timeOff: -1}
	if got := none.timeOf(record, nil); got != 0 {
		t.Errorf("without a time: %x", got)
	}
}

// Of the shards that have records the one with the oldest is first.
func TestFirstFindsTheOldest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		times       []uint64
		first, next int
	}{
		{[]uint64{5}, 0, -1},
		{[]uint64{5, 7}, 0, 7},
		{[]uint64{7, 5}, 1, 7},
		{[]uint64{7, 5, 6}, 1, 6},
		{[]uint64{5, 5, 4, 9}, 2, 5},
		{[]uint64{3, 3}, 0, 3},
	} {
		s := &shards{}
		for _, at := range c.times {
			s.heads = append(s.heads, head{ring: &ring.Ring{}, time: at})
		}
		if first, next := s.first(); first != c.first || int64(next) != int64(c.next) {
			t.Errorf("%v: %d, then %d; want %d, then %d", c.times, first, next, c.first, c.next)
		}
	}
}

func TestDefaultShards(t *testing.T) {
	t.Parallel()
	for cpus, want := range map[int]int{1: 1, 2: 1, 16: 1, 31: 1, 32: 2, 48: 2, 64: 4, 128: 8, 384: 8} {
		if got := defaultShards(cpus); got != want {
			t.Errorf("%d CPUs: %d shards, want %d", cpus, got, want)
		}
	}
}
