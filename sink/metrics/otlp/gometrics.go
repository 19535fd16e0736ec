// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"encoding/binary"
	runtime "runtime/metrics"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/sink/metrics"
)

// goScope is the scope of the metrics of the Go runtime.
const goScope = "go.runtime"

// goMetric is a metric as OpenTelemetry's conventions name it.
type goMetric struct {
	name, unit, description string
	role                    event.MetricRole
	// value is made of those that the runtime has.
	value func(read func(string) uint64) uint64
	last  uint64 // of a counter
}

// of returns a value as the runtime has it.
func of(name string) func(func(string) uint64) uint64 {
	return func(read func(string) uint64) uint64 { return read(name) }
}

// goMetrics reads metrics of the Go runtime: into the only row of a sink, as if they came from a gadget.
type goMetrics struct {
	sink    *metrics.Sink
	schema  *event.Schema
	metrics []goMetric
	kind    string // go.memory.type; "": none
	names   map[string]int
	samples []runtime.Sample
	batch   event.Batch
}

const goKindSize = 8 // of the field with the kind

func newGoMetrics() []metrics.Reader {
	const stacks, total, released = "/memory/classes/heap/stacks:bytes", "/memory/classes/total:bytes", "/memory/classes/heap/released:bytes"
	used := func(value func(func(string) uint64) uint64) []goMetric {
		return []goMetric{{name: "go.memory.used", unit: "By", description: "Memory used by the Go runtime.", role: event.GaugeRole, value: value}}
	}
	return []metrics.Reader{
		newGoReader("stack", used(of(stacks))),
		newGoReader("other", used(func(read func(string) uint64) uint64 { return read(total) - read(released) - read(stacks) })),
		newGoReader("", []goMetric{
			{name: "go.memory.allocated", unit: "By", description: "Memory allocated to the heap.", role: event.CounterRole, value: of("/gc/heap/allocs:bytes")},
			{name: "go.memory.allocations", unit: "{allocation}", description: "Allocations to the heap.", role: event.CounterRole, value: of("/gc/heap/allocs:objects")},
			{name: "go.memory.gc.goal", unit: "By", description: "Size of the heap that the garbage collector aims at.", role: event.GaugeRole, value: of("/gc/heap/goal:bytes")},
			{name: "go.memory.limit", unit: "By", description: "Go runtime memory limit, as the user or gizmo set it.", role: event.GaugeRole, value: of("/gc/gomemlimit:bytes")},
			{name: "go.goroutine.count", unit: "{goroutine}", description: "Goroutines that live.", role: event.GaugeRole, value: of("/sched/goroutines:goroutines")},
			{name: "go.processor.limit", unit: "{thread}", description: "Threads that can run Go code at once.", role: event.GaugeRole, value: of("/sched/gomaxprocs:threads")},
			{name: "go.config.gogc", unit: "%", description: "Heap size target percentage.", role: event.GaugeRole, value: of("/gc/gogc:percent")},
		}),
	}
}

func newGoReader(kind string, all []goMetric) *goMetrics {
	g := &goMetrics{sink: metrics.New(annotation.SourceMetrics{}, metrics.Options{}), metrics: all, kind: kind, names: make(map[string]int)}
	s := &event.Schema{Name: goScope, Single: true, Size: goKindSize}
	add := func(name string, fieldKind event.Kind, size uint32, says event.InMetrics) {
		s.Fields = append(s.Fields, event.Field{
			Name: name, Kind: fieldKind, Parent: event.NoParent, Off: s.Size, Size: size, Ann: event.Annotations{Metric: &says},
		})
	}
	if kind != "" {
		s.Size = 0
		add("go.memory.type", event.String, goKindSize, event.InMetrics{Role: event.KeyRole})
		s.Size = goKindSize
	}
	for i := range all {
		add(all[i].name, event.Uint, 8, event.InMetrics{Role: all[i].role, Unit: all[i].unit, Description: all[i].description})
		s.Size += 8
		all[i].value(func(name string) uint64 {
			if _, known := g.names[name]; !known {
				g.names[name] = len(g.samples)
				g.samples = append(g.samples, runtime.Sample{Name: name})
			}
			return 0
		})
	}
	g.schema = s
	if _, err := g.sink.Bind(s); err != nil {
		panic(err) // the schema is as above
	}
	return g
}

// Snapshot implements metrics.Reader. Who calls it has the reader for himself.
func (g *goMetrics) Snapshot(dst *metrics.Snapshot) {
	runtime.Read(g.samples)
	record := make([]byte, goKindSize, g.schema.Size)
	copy(record, g.kind)
	for i := range g.metrics {
		m := &g.metrics[i]
		value := m.value(g.read)
		if m.role == event.CounterRole { // rows are added up
			value, m.last = value-m.last, value
		}
		record = binary.LittleEndian.AppendUint64(record, value)
	}
	g.batch.Reset(g.schema)
	g.batch.Rows = append(g.batch.Rows, record)
	_ = g.sink.Write(&g.batch) // adding up cannot fail
	g.sink.Snapshot(dst)
}

// read returns a value; 0 if this version of Go does not have it.
func (g *goMetrics) read(name string) uint64 {
	if v := g.samples[g.names[name]].Value; v.Kind() == runtime.KindUint64 {
		return v.Uint64()
	}
	return 0
}
