// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/gizmo-ebpf/gizmo/clock"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/wire"
)

// rows150 is a batch of rows of 150 bytes of which some end in zeros, as those of most gadgets do.
func rows150(n int) *event.Batch {
	b := &event.Batch{Schema: &event.Schema{Name: "s", Single: true, Size: 150}}
	for i := range n {
		b.Rows = append(b.Rows, record(150, full(100+i%51)...))
	}
	return b
}

// withColumns gives a batch two columns: the first has a few values in turn, as names of containers are, the
// second many.
func withColumns(b *event.Batch) *event.Batch {
	var names event.Texts
	var ids event.Numbers
	few := b.Schema.AddColumn(
		event.Field{Name: "name", Kind: event.String, Parent: event.NoParent, Table: &names},
		event.Field{Name: "flag", Kind: event.Bool, Parent: event.NoParent, Table: &ids})
	many := b.Schema.AddColumn(event.Field{Name: "id", Kind: event.Uint, Parent: event.NoParent, Table: &ids})
	for i := range few.Fill(b) {
		few.Handles(b)[i] = names.Handle(fmt.Sprint("container-", i/3%5))
	}
	for i := range many.Fill(b) {
		many.Handles(b)[i] = ids.Add(uint64(i))
	}
	return b
}

// longRecording is a recording of many times the same batch.
func longRecording(tb testing.TB, b *event.Batch, batches int) []byte {
	tb.Helper()
	var out writeBuffer
	w, err := wire.NewWriter(&out, wire.Header{DataSources: []wire.DataSource{{Schema: b.Schema}}})
	check(tb, err)
	for range batches {
		check(tb, w.Write(b))
	}
	check(tb, w.Close())
	return out
}

func TestWriterDoesNotAllocate(t *testing.T) {
	for _, b := range []*event.Batch{rows150(100), withColumns(rows150(100))} {
		b.Lost = []event.Loss{{CPU: 1, Count: 2}}
		w, err := wire.NewWriter(io.Discard, wire.Header{DataSources: []wire.DataSource{{Schema: b.Schema}}})
		check(t, err)
		check(t, w.Write(b))
		ns := int64(0)
		allocs := testing.AllocsPerRun(1000, func() {
			ns++
			if w.AddStep(clock.Step{Boot: uint64(ns), Offset: ns}) != nil || w.Write(b) != nil {
				t.Fatal("not written")
			}
		})
		if allocs != 0 {
			t.Errorf("%d columns: %v allocations per batch", len(b.Schema.Columns()), allocs)
		}
	}
}

func TestReaderDoesNotAllocate(t *testing.T) {
	for _, b := range []*event.Batch{rows150(100), withColumns(rows150(100))} {
		b.Lost = []event.Loss{{CPU: 1, Count: 2}}
		r, err := wire.NewReader(bytes.NewReader(longRecording(t, b, 1200)))
		check(t, err)
		var got event.Batch
		for range 100 { // until the buffers have their size
			check(t, r.Next(t.Context(), &got))
		}
		ctx := t.Context()
		allocs := testing.AllocsPerRun(1000, func() {
			if err := r.Next(ctx, &got); err != nil || len(got.Rows) != 100 {
				t.Fatal(err)
			}
		})
		if allocs != 0 {
			t.Errorf("%d columns: %v allocations per batch", len(b.Schema.Columns()), allocs)
		}
	}
}

// benchmarks are batches of so many rows, with and without columns.
var benchmarks = []benchmark{{1, false}, {16, false}, {256, false}, {16, true}, {256, true}}

type benchmark struct {
	rows    int
	columns bool
}

func (c benchmark) name() string {
	if c.columns {
		return fmt.Sprintf("rows=%d/columns", c.rows)
	}
	return fmt.Sprintf("rows=%d", c.rows)
}

func (c benchmark) batch() *event.Batch {
	if c.columns {
		return withColumns(rows150(c.rows))
	}
	return rows150(c.rows)
}

func BenchmarkWriter(b *testing.B) {
	for _, c := range benchmarks {
		b.Run(c.name(), func(b *testing.B) {
			batch, size := c.batch(), c.rows
			w, err := wire.NewWriter(io.Discard, wire.Header{DataSources: []wire.DataSource{{Schema: batch.Schema}}})
			check(b, err)
			b.ReportAllocs()
			for b.Loop() {
				if err := w.Write(batch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*size), "ns/row")
		})
	}
}

func BenchmarkReader(b *testing.B) {
	for _, c := range benchmarks {
		b.Run(c.name(), func(b *testing.B) {
			size := c.rows
			recording := longRecording(b, c.batch(), 100_000/size)
			in := bytes.NewReader(recording)
			var r *wire.Reader
			var batch event.Batch
			ctx := b.Context()
			b.ReportAllocs()
			for b.Loop() {
				if r == nil || r.Next(ctx, &batch) != nil { // a new reader for every 100000 rows
					in.Reset(recording)
					var err error
					r, err = wire.NewReader(in)
					check(b, err)
					check(b, r.Next(ctx, &batch))
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*size), "ns/row")
		})
	}
}
