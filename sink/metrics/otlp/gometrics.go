// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	runtime "runtime/metrics"

	"github.com/gizmo-ebpf/gizmo/sink/metrics"
)

// goScope is the scope of the metrics of the Go runtime.
const goScope = "go.runtime"

// newGoMetrics returns metrics of the Go runtime, with the names of OpenTelemetry's conventions.
func newGoMetrics() []metrics.Reader {
	const stacks, total, released = "/memory/classes/heap/stacks:bytes", "/memory/classes/total:bytes", "/memory/classes/heap/released:bytes"
	used := []metrics.Instrument{{Name: "go.memory.used", Unit: "By", Description: "Memory used by the Go runtime.", Kind: metrics.Gauge}}
	others := []struct {
		metrics.Instrument
		of string // the runtime's name
	}{
		{metrics.Instrument{Name: "go.memory.allocated", Unit: "By", Description: "Memory allocated to the heap."}, "/gc/heap/allocs:bytes"},
		{metrics.Instrument{Name: "go.memory.allocations", Unit: "{allocation}", Description: "Allocations to the heap."}, "/gc/heap/allocs:objects"},
		{metrics.Instrument{Name: "go.memory.gc.goal", Unit: "By", Description: "Size of the heap that the garbage collector aims at.", Kind: metrics.Gauge}, "/gc/heap/goal:bytes"},
		{metrics.Instrument{Name: "go.memory.limit", Unit: "By", Description: "Limit of the memory that the Go runtime uses.", Kind: metrics.Gauge}, "/gc/gomemlimit:bytes"},
		{metrics.Instrument{Name: "go.goroutine.count", Unit: "{goroutine}", Description: "Goroutines that live.", Kind: metrics.Gauge}, "/sched/goroutines:goroutines"},
		{metrics.Instrument{Name: "go.processor.limit", Unit: "{thread}", Description: "Threads that can run Go code at once.", Kind: metrics.Gauge}, "/sched/gomaxprocs:threads"},
		{metrics.Instrument{Name: "go.config.gogc", Unit: "%", Description: "How much the heap may grow between collections.", Kind: metrics.Gauge}, "/gc/gogc:percent"},
	}
	var instruments []metrics.Instrument
	var names []string
	for _, m := range others {
		instruments, names = append(instruments, m.Instrument), append(names, m.of)
	}
	return []metrics.Reader{
		metrics.NewReadings(used, []string{"go.memory.type"}, func() []metrics.Reading {
			v := readRuntime(stacks, total, released)
			return []metrics.Reading{
				{Labels: []string{"stack"}, Values: []metrics.Value{metrics.Whole(v[0])}},
				{Labels: []string{"other"}, Values: []metrics.Value{metrics.Whole(v[1] - v[2] - v[0])}},
			}
		}),
		metrics.NewReadings(instruments, nil, func() []metrics.Reading {
			reading := metrics.Reading{}
			for _, n := range readRuntime(names...) {
				reading.Values = append(reading.Values, metrics.Whole(n))
			}
			return []metrics.Reading{reading}
		}),
	}
}

// readRuntime returns values; 0 for what this version of Go does not have.
func readRuntime(names ...string) []uint64 {
	samples := make([]runtime.Sample, len(names))
	for i, name := range names {
		samples[i].Name = name
	}
	runtime.Read(samples)
	values := make([]uint64, len(names))
	for i := range samples {
		if v := samples[i].Value; v.Kind() == runtime.KindUint64 {
			values[i] = v.Uint64()
		}
	}
	return values
}
