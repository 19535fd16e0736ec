// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package sort_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/stage/sort"
)

// openSchema is like the data source of a gadget: records of 152 bytes with a time, a pid, a comm and
// a path, and a text made of the time.
func openSchema(single bool) *event.Schema {
	s := &event.Schema{Name: "ds", Single: single, Size: 152, Fields: []event.Field{
		{Name: "time", Kind: event.Uint, Size: 8},
		{Name: "pid", Kind: event.Uint, Off: 8, Size: 4},
		{Name: "comm", Kind: event.String, Off: 16, Size: 16},
		{Name: "path", Kind: event.String, Off: 32, Size: 120},
	}}
	s.Add(event.Field{Name: "text", Kind: event.String, Text: func(dst []byte, b *event.Batch, row int) []byte {
		return append(dst, b.Rows[row][32:64]...)
	}})
	return s
}

func openRows(n int) [][]byte {
	r := rand.New(rand.NewPCG(1, 1))
	rows := make([][]byte, n)
	for i := range rows {
		rec := make([]byte, 152)
		little.PutUint64(rec, uint64(i)*1000+r.Uint64N(20000))
		little.PutUint32(rec[8:], r.Uint32N(4000))
		copy(rec[16:], []string{"bash", "systemd-journal", "systemd-logind", "sshd"}[r.IntN(4)])
		copy(rec[32:], "/usr/lib/x86_64-linux-gnu/")
		for j := 58; j < 70; j++ {
			rec[j] = byte('a' + r.IntN(26))
		}
		rows[i] = rec
	}
	return rows
}

// endless is a source that never ends. Its rows' keys go up.
type endless struct {
	schema *event.Schema
	rows   [][]byte
	n      uint64
	batch  int
	pace   time.Duration // between batches
}

func (s *endless) Schemas() []*event.Schema { return []*event.Schema{s.schema} }
func (s *endless) Close() error             { return nil }

func (s *endless) Next(_ context.Context, b *event.Batch) error {
	b.Reset(s.schema)
	if s.pace > 0 {
		time.Sleep(s.pace)
	}
	for range s.batch {
		row := s.rows[s.n%uint64(len(s.rows))]
		little.PutUint64(row, s.n*1000+little.Uint64(row)%20000)
		b.Rows = append(b.Rows, row)
		s.n++
	}
	return nil
}

func TestStreamsAllocateNothing(t *testing.T) {
	for _, keys := range []string{"time", "pid,-time", "path,comm", "-text"} {
		parsed, err := sort.Parse(keys)
		check(t, err)
		byName := map[event.SourceID][]sort.Key{{Name: "ds"}: parsed}
		src := &endless{schema: openSchema(true), rows: openRows(4096), batch: 100}
		checkStreamAllocs(t, keys, wrap(t, src, sort.Options{Keys: byName, Window: time.Hour, MaxHeld: 1 << 20}))
		synctest.Test(t, func(t *testing.T) {
			src := &endless{schema: openSchema(true), rows: openRows(4096), batch: 100, pace: time.Millisecond}
			checkStreamAllocs(t, keys, wrap(t, src, sort.Options{Keys: byName, Window: 50 * time.Millisecond}))
		})
	}
}

func checkStreamAllocs(t *testing.T, keys string, src pipeline.Source) {
	t.Helper()
	var b event.Batch
	next := func() { check(t, src.Next(t.Context(), &b)) }
	testing.AllocsPerRun(200, next) // makes the memory
	if n := testing.AllocsPerRun(200, next); n != 0 {
		t.Errorf("by %s: %v allocations a batch", keys, n)
	}
	check(t, src.Close())
}

func BenchmarkArray(b *testing.B) {
	const rows = 10000
	for _, keys := range []string{"time", "pid", "-pid,time", "comm", "path", "text"} {
		b.Run("by="+keys, func(b *testing.B) {
			parsed, err := sort.Parse(keys)
			check(b, err)
			s := openSchema(false)
			f := bindArrays(b, s, sort.Options{Keys: map[event.SourceID][]sort.Key{{Name: "ds"}: parsed}})
			all := openRows(rows)
			batch := batchOf(s, all)
			check(b, f(batch)) // makes the memory
			b.ReportAllocs()
			for b.Loop() {
				copy(batch.Rows, all)
				check(b, f(batch))
			}
			b.ReportMetric(float64(b.Elapsed())/float64(b.N)/rows, "ns/event")
		})
	}
}

func BenchmarkStream(b *testing.B) {
	for _, keys := range []string{"time", "pid", "path", "text"} {
		for _, batch := range []int{512, 8} {
			b.Run("by="+keys+map[int]string{512: "/full", 8: "/small"}[batch], func(b *testing.B) {
				parsed, err := sort.Parse(keys)
				check(b, err)
				src := wrap(b, &endless{schema: openSchema(true), rows: openRows(4096), batch: batch},
					sort.Options{Keys: map[event.SourceID][]sort.Key{{Name: "ds"}: parsed}})
				benchSource(b, src)
			})
		}
	}
	b.Run("unsorted", func(b *testing.B) {
		benchSource(b, &endless{schema: openSchema(true), rows: openRows(4096), batch: 512})
	})
}

// benchSource measures the cost of an event in src.
func benchSource(b *testing.B, src pipeline.Source) {
	var batch event.Batch
	for filled := 0; filled < 500_000; filled += len(batch.Rows) {
		check(b, src.Next(b.Context(), &batch)) // until the window is full and its memory is there
	}
	events := 0
	b.ReportAllocs()
	for b.Loop() {
		check(b, src.Next(b.Context(), &batch))
		events += len(batch.Rows)
	}
	b.ReportMetric(float64(b.Elapsed())/float64(events), "ns/event")
	check(b, src.Close())
}
