// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"bytes"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/pipeline/pipelinetest"
	"github.com/gizmo-ebpf/gizmo/wire"
	"github.com/gizmo-ebpf/gizmo/wire/wiretest"
)

// recordingOf returns a recording of n batches of ten events each, single ones and arrays in turn, with losses.
func recordingOf(t testing.TB, n int) []byte {
	t.Helper()
	single, array := pipelinetest.NewSchema("single", true), pipelinetest.NewSchema("array", false)
	var batches []*event.Batch
	for i := range n {
		b := &event.Batch{Schema: single}
		if i%2 == 1 {
			b.Schema = array
		}
		for row := range 10 {
			b.Rows = append(b.Rows, pipelinetest.Record(uint64(10*i+row)))
		}
		if i%4 == 0 {
			b.Lost = append(b.Lost, event.Loss{CPU: i % 3, Count: 2})
		}
		batches = append(batches, b)
	}
	return wiretest.RecordBatches(t, headerOf(single, array), batches...)
}

func headerOf(schemas ...*event.Schema) (h wire.Header) {
	for _, s := range schemas {
		h.DataSources = append(h.DataSources, wire.DataSource{Schema: s})
	}
	return h
}

// A recording is a source like any other.
func TestReaderContract(t *testing.T) {
	open := func(batches int) func(t testing.TB) pipeline.Source {
		return func(t testing.TB) pipeline.Source { return wiretest.Reader(t, recordingOf(t, batches)) }
	}
	pipelinetest.Source(t, pipelinetest.SourceCase{
		New: open(7), Rows: 70,
		Long: open(2000),
		Broken: func(t testing.TB) (pipeline.Source, int) {
			whole := recordingOf(t, 7)
			return wiretest.Reader(t, whole[:len(whole)-8]), 70 // the end is cut off
		},
	})
}

// Recording is a sink like any other.
func TestWriterContract(t *testing.T) {
	pipelinetest.Sink(t, pipelinetest.SinkCase{
		NoMarks: true,
		New: func(t testing.TB, schemas []*event.Schema) (pipeline.Sink, func() []pipelinetest.Delivered) {
			var out bytes.Buffer
			w, err := wire.NewWriter(&out, headerOf(schemas...))
			if err != nil {
				t.Fatalf("beginning a recording: %v", err)
			}
			return w, func() []pipelinetest.Delivered {
				if err := w.Close(); err != nil {
					t.Fatalf("ending the recording: %v", err)
				}
				return recorded(t, out.Bytes())
			}
		},
	})
}

// recorded returns the events of a recording.
func recorded(t testing.TB, recording []byte) (all []pipelinetest.Delivered) {
	t.Helper()
	batches, err := wiretest.ReadAll(wiretest.Reader(t, recording))
	if err != nil {
		t.Fatalf("reading the recording: %v", err)
	}
	for _, b := range batches {
		serial, text := &b.Schema.Fields[0], b.Schema.Fields[1]
		for _, row := range b.Rows {
			all = append(all, pipelinetest.Delivered{
				Source: b.Schema.ID(), Serial: serial.Uint(row), Text: string(event.CString(row[text.Off : text.Off+text.Size])),
			})
		}
	}
	return all
}
