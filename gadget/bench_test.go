// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"bytes"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/fixture"
)

// BenchmarkSourceNext measures how long an event takes from a buffer to a row: a struct of 32 bytes,
// as a whole or with trailing data, in place, or short and padded.
func BenchmarkSourceNext(b *testing.B) {
	for _, c := range []struct {
		name   string
		length int
		perf   bool
	}{{"ring/whole", 32, false}, {"ring/long", 248, false}, {"ring/short", 20, false}, {"perf/whole", 32, true}} {
		b.Run(c.name, func(b *testing.B) { benchmarkNext(b, c.length, LoadOptions{PerfBuffer: c.perf}) })
	}
}

func benchmarkNext(b *testing.B, length int, o LoadOptions) {
	pin(b, 0)
	g := start(b, parse(b, "records"), o)
	src, ctx := g.source(b), b.Context()
	const round = 255 * 16
	var batch event.Batch
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; n += round {
		b.StopTimer()
		g.make(round, length)
		b.StartTimer()
		for read := 0; read < round; read += len(batch.Rows) {
			if err := src.Next(ctx, &batch); err != nil {
				b.Fatal(err)
			}
			if len(batch.Lost) > 0 {
				b.Fatal("lost", batch.Lost)
			}
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkParse(b *testing.B) {
	for _, name := range []string{"minimal", "hooks", "tracer"} {
		object := fixture.Compile(b, name).Object
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(object)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := image.Parse(bytes.NewReader(object), nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
