// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"encoding/binary"
	"math"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/event"
)

// row is a row of the sample's data source.
type row struct {
	comm    string
	pid     uint32
	retries uint64
	delta   int32
	window  uint32
	latency float64
	slots   [6]uint32
}

const recordSize = 8 + 4 + 4 + 8 + 4 + 8 + 6*4

// newSchema returns the data source: its fields have the roles that their C types or annotations say.
func newSchema(single bool) *event.Schema {
	at := func(name string, kind event.Kind, off, size uint32, role event.MetricRole) event.Field {
		return event.Field{Name: name, Kind: kind, Parent: event.NoParent, Off: off, Size: size, Ann: event.Annotations{Metric: &event.InMetrics{Role: role}}}
	}
	s := &event.Schema{Name: "sample", Single: single, Size: recordSize, Fields: []event.Field{
		at("comm", event.String, 0, 8, event.KeyRole),
		at("pid", event.Uint, 8, 4, event.KeyRole),
		at("delta", event.Int, 12, 4, event.CounterRole),
		at("retries", event.Uint, 16, 8, event.NoRole),
		at("window", event.Uint, 24, 4, event.NoRole),
		at("latency", event.Float, 28, 8, event.HistogramRole),
		at("slots", event.Uint, 36, 24, event.NoRole),
	}}
	s.Fields[2].Ann.Metric.Name = "delta.sum"
	s.Fields[3].Types = []string{"gadget_counter__u64", "__u64"}
	s.Fields[4].Types = []string{"gadget_gauge__u32", "__u32"}
	s.Fields[5].Ann.Metric.Boundaries = []float64{1, 10.5}
	s.Fields[6].Types, s.Fields[6].Count = []string{"gadget_histogram_slot__u32", "__u32"}, 6
	s.Fields[6].Ann.Metric.Unit = "µs"
	return s
}

const (
	deltas = iota
	retries
	window
	latency
	slots
	events
)

func (r *row) record() []byte {
	rec := make([]byte, 8, recordSize)
	copy(rec, r.comm)
	rec = binary.LittleEndian.AppendUint32(rec, r.pid)
	rec = binary.LittleEndian.AppendUint32(rec, uint32(r.delta))
	rec = binary.LittleEndian.AppendUint64(rec, r.retries)
	rec = binary.LittleEndian.AppendUint32(rec, r.window)
	rec = binary.LittleEndian.AppendUint64(rec, math.Float64bits(r.latency))
	for _, n := range r.slots {
		rec = binary.LittleEndian.AppendUint32(rec, n)
	}
	return rec
}

func batchOf(s *event.Schema, rows ...row) *event.Batch {
	b := &event.Batch{}
	b.Reset(s)
	for i := range rows {
		b.Rows = append(b.Rows, rows[i].record())
	}
	return b
}

// bound returns a sink that counts the events, too, and its clock.
func bound(t testing.TB, s *event.Schema, o Options) (*Sink, *time.Time) {
	t.Helper()
	sink := New(annotation.SourceMetrics{CounterName: "events"}, o)
	clock := time.Unix(1, 0)
	sink.now = func() time.Time { return clock }
	if _, err := sink.Bind(s); err != nil {
		t.Fatal(err)
	}
	return sink, &clock
}

func write(t testing.TB, sink *Sink, b *event.Batch) {
	t.Helper()
	if err := sink.Write(b); err != nil {
		t.Fatal(err)
	}
}
