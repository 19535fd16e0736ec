// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/prepare"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/source"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// slack is how much longer a busy machine may take.
const slack = 30 * time.Millisecond

// fastest fails the test unless one of several tries takes at most the given time: a busy machine may
// delay any, but not all.
func fastest(t *testing.T, most time.Duration, try func() time.Duration) {
	t.Helper()
	var all []time.Duration
	for range 24 { // a busy machine disturbs some
		d := try()
		if d <= most {
			return
		}
		all = append(all, d)
	}
	t.Errorf("it took %v, want at most %v", all, most)
}

// Each kind of hook reports each call exactly once.
func TestEveryCallIsAnEvent(t *testing.T) {
	buffers(t, func(t *testing.T, o LoadOptions) {
		g := start(t, parse(t, "hooks"), o)
		const n = 2000
		for i := range n {
			g.call(uint16(i))
		}
		for _, src := range g.Sources() {
			s := src.Schemas()[0]
			cpu, value := field(t, s, "cpu"), field(t, s, "value")
			found := drain(t, src)
			seen := make(map[uint64]int)
			for _, row := range found.rows {
				seen[value.Uint(row)]++
				if c := cpu.Uint(row); c >= uint64(ebpf.MustPossibleCPU()) {
					t.Errorf("%s: CPU %d", s.Name, c)
				}
			}
			if len(found.rows) != n || len(seen) != n || len(found.lost) > 0 {
				t.Errorf("%s: %d events of %d calls, lost %v; want %d", s.Name, len(found.rows), len(seen), found.lost, n)
			}
		}
	})
}

func field(t testing.TB, s *event.Schema, name string) *event.Field {
	t.Helper()
	i, ok := s.Lookup(name)
	if !ok {
		t.Fatal("no field", name)
	}
	return &s.Fields[i]
}

// An event that comes while Next waits ends the waiting, soon.
func TestNextReturnsSoon(t *testing.T) {
	buffers(t, func(t *testing.T, o LoadOptions) {
		g := start(t, parse(t, "records"), o)
		fastest(t, DefaultLatency+slack, func() time.Duration {
			var called atomic.Int64
			time.AfterFunc(40*time.Millisecond, func() {
				called.Store(time.Now().UnixNano())
				g.make(1, 40)
			})
			if n := len(next(t, t.Context(), g.source(t)).rows); n != 1 {
				t.Fatalf("%d events", n)
			}
			return time.Duration(time.Now().UnixNano() - called.Load())
		})
	})
}

// Next returns available events at once, without waiting for more, unless the reader rests.
func TestNextDoesNotWaitForMore(t *testing.T) {
	buffers(t, func(t *testing.T, o LoadOptions) {
		pin(t, 0)
		img := parse(t, "records")
		fastest(t, DefaultLatency/2, func() time.Duration {
			g := start(t, img, o) // a reader that has read before may rest
			g.make(400, 248)
			began := time.Now()
			found := next(t, t.Context(), g.source(t))
			d := time.Since(began)
			if len(found.rows) != 400 {
				t.Fatalf("%d rows", len(found.rows))
			}
			return d
		})
	})
}

// A reader that has caught up waits for the latency, so that it does not return with a few events each
// time. With a latency of 0 it does not wait.
func TestReaderThatHasCaughtUpRests(t *testing.T) {
	const latency = 100 * time.Millisecond
	for _, c := range []struct {
		o     LoadOptions
		rests bool
	}{
		{LoadOptions{Latency: latency}, true},
		{LoadOptions{Latency: latency, Shards: 2}, true},
		{LoadOptions{Latency: AtOnce}, false},
		{LoadOptions{Latency: AtOnce, Shards: 2}, false},
	} {
		t.Run(fmt.Sprintf("latency %v, %d shards", c.o.Latency, c.o.Shards), func(t *testing.T) {
			kerneltest.Undisturbed(t, func(t *kerneltest.Attempt) {
				t.Disturbed() // a machine that stands still for some 30 ms changes what is read at once
				g := start(t, parse(t, "times"), c.o)
				g.call(1)
				next(t, t.Context(), g.source(t))
				began := time.Now()
				g.call(2)
				time.AfterFunc(latency/4, func() { g.call(3) })
				found := next(t, t.Context(), g.source(t))
				took := time.Since(began)
				if rested := len(found.rows) == 2 && took >= latency/2; rested != c.rests {
					t.Errorf("%d events after %v", len(found.rows), took)
				}
				t.Within(took, latency+slack)
			})
		})
	}
}

// A batch says whether the source has more at hand.
func TestBatchSaysWhetherThereIsMore(t *testing.T) {
	for _, shards := range []int{1, 2} {
		g := start(t, parse(t, "times"), LoadOptions{Shards: shards})
		for range source.MaxBatchRows + 1 {
			g.call(1)
		}
		time.Sleep(2 * source.TimeSlack) // until none is too young for its shard
		var b event.Batch
		for i, want := range []bool{true, false} {
			if err := g.source(t).Next(t.Context(), &b); err != nil || b.More != want {
				t.Errorf("%d shards, batch %d of %d rows: more %v, error %v", shards, i, len(b.Rows), b.More, err)
			}
		}
	}
}

// The end of the context ends the waiting, too.
func TestContextEndsWaiting(t *testing.T) {
	buffers(t, func(t *testing.T, o LoadOptions) {
		for _, name := range []string{"records", "minimal"} {
			if name == "minimal" && o.PerfBuffer {
				continue
			}
			img := parse(t, name)
			fastest(t, 2*DefaultLatency+slack, func() time.Duration {
				src := start(t, img, o).source(t)
				ctx, cancel := context.WithCancel(t.Context())
				var cancelled atomic.Int64
				time.AfterFunc(20*time.Millisecond, func() {
					cancelled.Store(time.Now().UnixNano())
					cancel()
				})
				var b event.Batch
				if err := src.Next(ctx, &b); !errors.Is(err, io.EOF) {
					t.Errorf("%s: got %v, want io.EOF", name, err)
				}
				d := time.Duration(time.Now().UnixNano() - cancelled.Load())
				if err := src.Next(ctx, &b); !errors.Is(err, io.EOF) {
					t.Errorf("%s: after the end: %v", name, err)
				}
				return d
			})
		}
	})
}

// Next returns all events from before the context's end, even if they need more than one batch.
func TestContextEndDrains(t *testing.T) {
	buffers(t, func(t *testing.T, o LoadOptions) {
		g := start(t, parse(t, "records"), o)
		const n = 5*source.MaxBatchRows + 7
		g.make(n, 40)
		ctx, cancel := context.WithCancel(t.Context())
		first := next(t, ctx, g.source(t))
		if len(first.rows) == 0 || len(first.rows) > source.MaxBatchRows {
			t.Errorf("a batch of %d rows", len(first.rows))
		}
		cancel()
		first.drain(t, g.source(t))
		if len(first.rows) != n || len(first.lost) != 0 {
			t.Errorf("%d events, lost %v; want %d", len(first.rows), first.lost, n)
		}
	})
}

// Next must not take a batch that is exactly full for the last one.
func TestDrainAfterFullBatch(t *testing.T) {
	buffers(t, func(t *testing.T, o LoadOptions) {
		pin(t, 0)
		g := start(t, parse(t, "records"), o)
		g.make(source.MaxBatchRows, 40)
		found := next(t, t.Context(), g.source(t))
		if len(found.rows) != source.MaxBatchRows {
			t.Fatalf("a batch of %d rows, want %d", len(found.rows), source.MaxBatchRows)
		}
		g.make(1, 40)
		found.drain(t, g.source(t))
		if len(found.rows) != source.MaxBatchRows+1 {
			t.Errorf("%d events, want %d", len(found.rows), source.MaxBatchRows+1)
		}
	})
}

// Batches are bounded in bytes, too, so that the buffer is given back in time.
func TestBatchesAreBounded(t *testing.T) {
	g := start(t, parse(t, "records"), LoadOptions{})
	g.make(4000, 248)
	for range 3 {
		found := next(t, t.Context(), g.source(t))
		if n := len(found.rows); n > source.MaxBatchRows || n*248 > source.MaxBatchBytes+248 {
			t.Errorf("a batch of %d rows of 248 bytes", n)
		}
	}
}

// Records of any length, at any place of a small ring, become rows: short ones are padded with zeros,
// whatever the slot held before; long ones keep all of their trailing data.
func TestRowsOfAnyLength(t *testing.T) {
	pin(t, 0)
	img := parseWith(t, "records", "datasources:\n  records:\n    annotations:\n      ebpf.rest.name: tail\n")
	g := start(t, img, LoadOptions{BufferSize: 4096, Latency: AtOnce})
	src := g.source(t)
	s := src.Schemas()[0]
	tail := field(t, s, "tail")
	size := int(s.Size)
	rng := rand.New(rand.NewPCG(1, 2))
	seq, pos := uint64(0), 0
	wrapped := make(map[string]int) // how rows are made: all ways must be tried
	for range 400 {
		var want [][]byte
		for range 1 + rng.IntN(10) {
			seq++
			length := 1 + rng.IntN(255)
			if rng.IntN(2) == 0 { // as many short ones
				length = 1 + rng.IntN(size)
			}
			g.make(1, length)
			want = append(want, record(seq, length))
			wrapped[kindOfRow(pos, length, size)]++
			pos += (8 + length + 7) &^ 7
		}
		var b event.Batch
		for len(want) > 0 {
			if err := src.Next(t.Context(), &b); err != nil {
				t.Fatal(err)
			}
			for _, row := range b.Rows {
				if w := padded(want[0], size); !bytes.Equal(row, w) {
					t.Fatalf("got % x\nwant % x", row, w)
				}
				if rest := tail.Trailing(row); len(want[0]) > size && !bytes.Equal(rest, want[0][size:]) {
					t.Fatalf("trailing % x, want % x", rest, want[0][size:])
				}
				want = want[1:]
			}
		}
	}
	for _, kind := range []string{"short", "short, wrapped", "long", "long, wrapped"} {
		if wrapped[kind] == 0 {
			t.Errorf("no row was %s", kind)
		}
	}
}

// kindOfRow returns how a record with its header at position pos is placed in a ring of 4096 bytes.
func kindOfRow(pos, length, size int) string {
	kind := "long"
	if length < size {
		kind = "short"
	}
	if (pos+8)%4096+length > 4096 {
		kind += ", wrapped"
	}
	return kind
}

// Perf buffers round lengths up: after a record's end there are arbitrary bytes up to the next multiple
// of 8, and zeros after that.
func TestRowsOfAnyLengthByPerf(t *testing.T) {
	pin(t, 0)
	g := start(t, parse(t, "records"), LoadOptions{PerfBuffer: true})
	src := g.source(t)
	size := int(src.Schemas()[0].Size)
	seq := uint64(0)
	for _, length := range []int{255, 40, 1, 32, 31, 33, 7, 255, 8, 12, 20, 36, 16} {
		g.make(3, length)
		found := next(t, t.Context(), src)
		if len(found.rows) != 3 {
			t.Fatalf("length %d: %d rows", length, len(found.rows))
		}
		for _, row := range found.rows {
			seq++
			want := record(seq, length)
			rounded := (length+4+7)&^7 - 4
			if !bytes.HasPrefix(row, want) || len(row) != max(size, rounded) || len(bytes.Trim(row[rounded:], "\x00")) > 0 {
				t.Errorf("length %d: got % x\nwant % x", length, row, padded(want, size))
			}
		}
	}
}

// All rows of a batch are there at the same time.
func TestRowsOfABatchAreApart(t *testing.T) {
	buffers(t, func(t *testing.T, o LoadOptions) {
		pin(t, 0)
		g := start(t, parse(t, "records"), o)
		for _, length := range []int{8, 200, 20, 255, 30} {
			g.make(60, length)
		}
		found := next(t, t.Context(), g.source(t))
		if len(found.rows) != 300 {
			t.Fatalf("%d rows", len(found.rows))
		}
		for i, row := range found.rows {
			if seq := binary.LittleEndian.Uint64(row); seq != uint64(i+1) {
				t.Fatalf("row %d has number %d", i, seq)
			}
		}
	})
}

// An object as others build them wakes the reader when that has caught up, and only then.
func TestObjectOfOtherHeaders(t *testing.T) {
	g := start(t, parse(t, "minimal"), LoadOptions{BufferSize: 4096})
	src := g.source(t)
	for i := range 200 {
		g.call(uint16(i))
		found := next(t, t.Context(), src)
		if len(found.rows) != 1 || binary.LittleEndian.Uint32(found.rows[0]) != uint32(i) || len(found.lost) > 0 {
			t.Fatalf("event %d: %+v", i, found)
		}
	}
}

// Records that such an object discards must not keep the kernel from waking the reader for the next event.
func TestDiscardedRecordsDoNotDelayEvents(t *testing.T) {
	g := start(t, parse(t, "minimal"), LoadOptions{})
	src := g.source(t)
	fastest(t, slack, func() time.Duration {
		var called atomic.Int64
		time.AfterFunc(30*time.Millisecond, func() {
			g.call(0xffff) // discarded
			time.Sleep(30 * time.Millisecond)
			called.Store(time.Now().UnixNano())
			g.call(1)
		})
		if n := len(next(t, t.Context(), src).rows); n != 1 {
			t.Fatalf("%d events", n)
		}
		return time.Duration(time.Now().UnixNano() - called.Load())
	})
}

// produced returns the number of records that the fixture "records" made, by CPU.
func produced(t testing.TB, g *running) []uint64 {
	t.Helper()
	return perCPU(t, g, "produced")
}

func perCPU(t testing.TB, g *running, name string) []uint64 {
	t.Helper()
	var counts []uint64
	if err := g.coll.Maps[name].Lookup(uint32(0), &counts); err != nil {
		t.Fatal(err)
	}
	return counts
}

func sum(counts []uint64) (n uint64) {
	for _, c := range counts {
		n += c
	}
	return n
}

// Without a reader the buffer overflows: the losses are exactly what the kernel refused on each CPU.
func TestLossesByCPU(t *testing.T) {
	g := start(t, parse(t, "records"), LoadOptions{BufferSize: 4096})
	var first int
	for n := range min(runtime.NumCPU(), 2) {
		t.Run("", func(t *testing.T) {
			cpu := pin(t, n)
			g.make(200+n, 40)
			if n == 0 {
				first = cpu
			}
		})
	}
	counts := produced(t, g)
	const fit = 4096 / 48
	found := drain(t, g.source(t))
	if n := len(found.rows); n != fit {
		t.Errorf("%d records of 48 bytes came from a buffer of 4096, want %d", n, fit)
	}
	want := make(map[int]uint64)
	for cpu, n := range counts {
		if cpu == first {
			n -= fit
		}
		if n > 0 {
			want[cpu] = n
		}
	}
	if !maps.Equal(found.lost, want) {
		t.Errorf("lost %v, want %v", found.lost, want)
	}
}

// A loss is reported though no event follows.
func TestLossIsReportedWithoutAnEvent(t *testing.T) {
	cpu := pin(t, 0)
	g := start(t, parse(t, "records"), LoadOptions{BufferSize: 4096})
	src := g.source(t)
	fastest(t, source.LossInterval+DefaultLatency+slack, func() time.Duration {
		g.make(80, 40)
		found := next(t, t.Context(), src)
		if len(found.rows) != 80 || len(found.lost) > 0 {
			t.Fatalf("%d rows, lost %v", len(found.rows), found.lost)
		}
		g.make(20, 40) // the rows are still in use: 5 fit
		began := time.Now()
		for len(found.lost) == 0 {
			found = next(t, t.Context(), src)
		}
		if !maps.Equal(found.lost, map[int]uint64{cpu: 15}) {
			t.Fatalf("lost %v, want 15 on CPU %d", found.lost, cpu)
		}
		return time.Since(began)
	})
}

// At the end the last losses are reported, however short ago the counters were read.
func TestLossIsReportedAtTheEnd(t *testing.T) {
	buffers(t, func(t *testing.T, o LoadOptions) {
		pin(t, 0)
		o.BufferSize = 4096
		g := start(t, parse(t, "records"), o)
		g.make(1, 40)
		found := next(t, t.Context(), g.source(t)) // reads the counters
		n := 100
		if o.PerfBuffer {
			n = prepare.PerfBufferSize/250 + 1000
		}
		g.make(n, 248)
		found.drain(t, g.source(t))
		if found.lostSum() == 0 || found.lostSum()+uint64(len(found.rows)) != uint64(n+1) {
			t.Errorf("%d events and lost %v of %d", len(found.rows), found.lost, n+1)
		}
		if want := sum(perCPU(t, g, "events_lost_samples")); found.lostSum() != want {
			t.Errorf("lost %v, the kernel refused %d", found.lost, want)
		}
	})
}

// counter is a sink that counts.
type counter struct{ rows atomic.Uint64 }

func (c *counter) Bind(*event.Schema) (event.FieldSet, error) { return event.FieldSet{}, nil }

func (c *counter) Write(b *event.Batch) error {
	c.rows.Add(uint64(len(b.Rows)))
	return nil
}

// Under overload, with a reader that has far too little room, every event is accounted for:
// produced = delivered + lost.
func TestLedgerUnderOverload(t *testing.T) {
	buffers(t, func(t *testing.T, o LoadOptions) {
		o.BufferSize = 4096
		g := start(t, parse(t, "records"), o)
		ctx, cancel := context.WithCancel(t.Context())
		sink, ledger := &counter{}, &pipeline.Ledger{}
		runner := pipeline.Runner{Sources: g.Sources(), Sinks: []pipeline.NamedSink{{Sink: sink}}, Ledger: ledger, Stop: func() {
			if err := g.Detach(); err != nil {
				t.Error(err)
			}
		}}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := range 300 {
				g.make(255, 20+i%230)
			}
			cancel()
		}()
		if err := runner.Run(ctx); err != nil {
			t.Fatal(err)
		}
		<-done
		totals := ledger.Account(event.SourceID{Name: "records"}, "").Totals()
		if want := sum(produced(t, g)); want != 300*255 || totals.Produced() != want || totals.Delivered != sink.rows.Load() {
			t.Errorf("produced %d, the ledger says %+v", want, totals)
		}
		if totals.Lost == 0 || totals.Delivered == 0 {
			t.Errorf("no overload: %+v", totals)
		}
		t.Logf("%+v", totals)
	})
}

// Reading available events does not allocate memory.
func TestNextAllocatesNothing(t *testing.T) {
	g := start(t, parse(t, "records"), LoadOptions{BufferSize: 64 << 10})
	src, ctx := g.source(t), t.Context()
	var b event.Batch
	read := func() {
		for _, length := range []int{8, 20, 32, 255} {
			g.make(20, length)
		}
		for n := 0; n < 80; n += len(b.Rows) {
			if err := src.Next(ctx, &b); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 100 { // until everything has its size
		read()
	}
	if n := testing.AllocsPerRun(500, read); n != 0 {
		t.Errorf("%v allocations for 80 events", n)
	}
}
