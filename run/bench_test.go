// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"
	"testing"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/encode"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/host/userdb"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/run"
	"github.com/gizmo-ebpf/gizmo/semtype"
	"github.com/gizmo-ebpf/gizmo/stage/filter"
	"github.com/gizmo-ebpf/gizmo/wire"
)

// recorded is the recording of trace_open's workload: one event of each kind, of several threads, paths,
// users, flags and errors, with the enriched types that the gadget has.
type recorded struct {
	schema *event.Schema
	batch  event.Batch
}

// readRecorded reads the recording into one batch and composes its schema with the stages, as a run
// does.
func readRecorded(t testing.TB, stages ...pipeline.Stage) *recorded {
	t.Helper()
	file, err := os.Open("../test/e2e/testdata/recordings/trace_open.rec")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, err := wire.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	spec := &annotation.Spec{}
	if err := json.Unmarshal(r.Header().DataSources[0].Annotations, spec); err != nil {
		t.Fatal(err)
	}
	rec := &recorded{schema: r.Schemas()[0]}
	rec.batch.Reset(rec.schema)
	for {
		var b event.Batch
		err := r.Next(t.Context(), &b)
		for _, row := range b.Rows {
			rec.batch.Rows = append(rec.batch.Rows, slices.Clone(row))
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	machine := r.Header().Machine
	env := semtype.Env{
		Arch: machine.Arch, Clock: r.Clock(),
		Users: userdb.Table(machine.Users), Groups: userdb.Table(machine.Groups),
	}
	if err := run.Compose(rec.schema, spec, &env, stages); err != nil {
		t.Fatal(err)
	}
	return rec
}

// encoding returns a function that writes all recorded events in a format.
func encoding(t testing.TB, format string) (write func(), events int) {
	rec := readRecorded(t)
	f, err := encode.Lookup(format)
	if err != nil {
		t.Fatal(err)
	}
	enc, err := f.Bind(rec.schema, encode.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var buf []byte
	return func() { buf = enc.Append(buf[:0], &rec.batch) }, len(rec.batch.Rows)
}

// rejecting returns a function that runs a filter on all recorded events, which removes every one.
func rejecting(t testing.TB, stage *filter.Stage, err error) (write func(), events int) {
	if err != nil {
		t.Fatal(err)
	}
	rec := readRecorded(t, stage)
	need, err := stage.Reads(rec.schema)
	if err != nil {
		t.Fatal(err)
	}
	f, err := stage.Bind(rec.schema, need)
	if err != nil {
		t.Fatal(err)
	}
	rows := slices.Clone(rec.batch.Rows)
	return func() {
		rec.batch.Rows = append(rec.batch.Rows[:0], rows...)
		if err := f(&rec.batch); err != nil {
			t.Fatal(err)
		}
		if n := len(rec.batch.Rows); n != 0 {
			t.Fatalf("%d events came through", n)
		}
	}, len(rows)
}

// cases are the ways of an event from the ring to the output of which the costs are bounded.
func cases(t testing.TB) map[string]func() (func(), int) {
	return map[string]func() (func(), int){
		"json":    func() (func(), int) { return encoding(t, "json") },
		"columns": func() (func(), int) { return encoding(t, "columns") },
		"filter": func() (func(), int) {
			stage, err := filter.New(map[string]string{"": "proc.comm==nobody"})
			return rejecting(t, stage, err)
		},
		"filter-enriched": func() (func(), int) {
			stage, err := filter.New(map[string]string{"": "error==EXDEV"})
			return rejecting(t, stage, err)
		},
		"filter-expr": func() (func(), int) {
			stage, err := filter.NewExpr(map[string]string{"": `proc.pid >= 1 && fname startsWith "/" && error == "EXDEV"`})
			return rejecting(t, stage, err)
		},
	}
}

func TestEventsCostNoAllocation(t *testing.T) {
	for name, prepare := range cases(t) {
		handle, _ := prepare()
		handle()
		if n := testing.AllocsPerRun(5, handle); n != 0 {
			t.Errorf("%s: %v allocations for all events", name, n)
		}
	}
}

// BenchmarkTraceOpen measures the cost of an event of trace_open after the ring buffer. Package gadget measures
// reading the ring buffer.
func BenchmarkTraceOpen(b *testing.B) {
	for _, name := range []string{"json", "columns", "filter", "filter-enriched", "filter-expr"} {
		b.Run(name, func(b *testing.B) {
			handle, events := cases(b)[name]()
			b.ReportAllocs()
			for b.Loop() {
				handle()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*events), "ns/event")
		})
	}
}
