// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package encode_test

import (
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/encode"
	"github.com/gizmo-ebpf/gizmo/event"
)

// BenchmarkTraceOpen writes batches of 64 events of the gadget trace_open: 21 values each,
// five of them made by a field's Text. "texts" is the part of the time that those take alone.
//
// best-ns/event is the shortest time of a batch, which a busy machine disturbs least.
func BenchmarkTraceOpen(b *testing.B) {
	s := traceOpen()
	batch := traceOpenBatch(s, 64)
	for _, f := range encode.Formats() {
		b.Run(f.Name, func(b *testing.B) {
			enc, err := f.Bind(s, encode.Options{})
			if err != nil {
				b.Fatal(err)
			}
			benchmark(b, batch, enc.Append)
		})
	}
	b.Run("texts", func(b *testing.B) {
		benchmark(b, batch, func(dst []byte, batch *event.Batch) []byte {
			for row := range batch.Rows {
				for i := range s.Fields {
					if text := s.Fields[i].Text; text != nil {
						dst = text(dst, batch, row)
					}
				}
			}
			return dst
		})
	})
}

// BenchmarkHostileText writes names that need escapes in every place.
func BenchmarkHostileText(b *testing.B) {
	benchmarkName(b, "\x1b[2J\"\\\xff\u202e/tmp/\u754c\t\x01\x02\x03")
}

// BenchmarkForeignText writes names of which every character needs a look, and none an escape.
func BenchmarkForeignText(b *testing.B) {
	benchmarkName(b, "/дом/Grüße/世界地図/안녕하세요/日本語のファイル/😀🚀")
}

// benchmarkName writes events with a file name.
func benchmarkName(b *testing.B, name string) {
	s := traceOpen()
	batch := traceOpenBatch(s, 64)
	for _, rec := range batch.Rows {
		put(s, rec, "fname", name)
	}
	for _, f := range encode.Formats() {
		b.Run(f.Name, func(b *testing.B) {
			enc, err := f.Bind(s, encode.Options{Width: 120})
			if err != nil {
				b.Fatal(err)
			}
			benchmark(b, batch, enc.Append)
		})
	}
}

func benchmark(b *testing.B, batch *event.Batch, appendBatch func([]byte, *event.Batch) []byte) {
	b.ReportAllocs()
	events := len(batch.Rows)
	buf := appendBatch(nil, batch)
	best := time.Duration(1<<63 - 1)
	for b.Loop() {
		start := time.Now()
		buf = appendBatch(buf[:0], batch)
		best = min(best, time.Since(start))
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*events), "ns/event")
	b.ReportMetric(float64(best.Nanoseconds())/float64(events), "best-ns/event")
	b.ReportMetric(float64(len(buf))/float64(events), "B/event")
}
