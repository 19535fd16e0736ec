// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pipeline_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// Each sink has an account of its own: what one of them drops, or fails to take, the other still gets.
func TestEachSinkHasItsAccount(t *testing.T) {
	t.Parallel()
	batches := [][]byte{[]byte("1x"), []byte("23"), []byte("456")}
	for _, c := range []struct {
		name       string
		second     pipeline.Sink
		err        error
		wantSecond pipeline.Totals
	}{
		{"both take all", &collect{}, nil, pipeline.Totals{Delivered: 6, Filtered: 1, Lost: 4}},
		{"one drops", &dropping{}, nil, pipeline.Totals{Delivered: 4, Filtered: 1, Lost: 6}},
		{"one fails", &collect{failN: 2}, errSink, pipeline.Totals{Delivered: 1, Filtered: 1, Lost: 9}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			first := &collect{}
			r := pipeline.Runner{
				Sources: []pipeline.Source{&script{schema: newSchema("a"), batches: batches, lost: []event.Loss{{Count: 4}}}},
				Stages:  []pipeline.Stage{dropX{}}, Ledger: &pipeline.Ledger{},
				Sinks: []pipeline.NamedSink{{"first", first}, {"second", c.second}},
			}
			if err := r.Run(t.Context()); !errors.Is(err, c.err) {
				t.Errorf("error %v, want %v", err, c.err)
			}
			if got := string(first.got); got != "123456" {
				t.Errorf("the first sink got %q", got)
			}
			id := event.SourceID{Name: "a"}
			if got, want := r.Ledger.Account(id, "first").Totals(), (pipeline.Totals{Delivered: 6, Filtered: 1, Lost: 4}); got != want {
				t.Errorf("first: %+v, want %+v", got, want)
			}
			if got := r.Ledger.Account(id, "second").Totals(); got != c.wantSecond {
				t.Errorf("second: %+v, want %+v", got, c.wantSecond)
			}
		})
	}
}

// Two gadgets of one run may have data sources of the same name.
func TestSourcesOfOneNameAreApart(t *testing.T) {
	t.Parallel()
	one, two := newSchema("open"), newSchema("open")
	one.Gadget, two.Gadget = "one", "two"
	r := pipeline.Runner{
		Sources: []pipeline.Source{
			&script{schema: one, batches: [][]byte{[]byte("12")}}, &script{schema: two, batches: [][]byte{[]byte("345")}},
		},
		Sinks: to(&collect{}), Ledger: &pipeline.Ledger{},
	}
	if err := r.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[event.SourceID]uint64{one.ID(): 2, two.ID(): 3} {
		if got := r.Ledger.Account(id, "").Totals().Delivered; got != want {
			t.Errorf("%s: %d delivered, want %d", id, got, want)
		}
	}
}

// reader is a stage or sink that reads one field and records the fields that it was bound with.
type reader struct {
	dropX
	collect
	reads int
	need  event.FieldSet
}

func (r *reader) set() (s event.FieldSet, err error) {
	s.Add(r.reads)
	return s, nil
}

type readingStage struct{ *reader }

func (s readingStage) Reads(*event.Schema) (event.FieldSet, error) { return s.set() }
func (s readingStage) Bind(_ *event.Schema, need event.FieldSet) (pipeline.Func, error) {
	s.need = need
	return nil, nil
}
func (readingStage) Extend(*event.Schema) error { return nil }
func (readingStage) Close() error               { return nil }

type readingSink struct{ *reader }

func (s readingSink) Bind(*event.Schema) (event.FieldSet, error) { return s.set() }
func (s readingSink) Write(*event.Batch) error                   { return nil }

// Stages are bound with what the sinks and all stages read, those behind them included.
func TestStagesKnowWhatIsRead(t *testing.T) {
	t.Parallel()
	first, second := readingStage{&reader{reads: 1}}, readingStage{&reader{reads: 2}}
	r := pipeline.Runner{
		Sources: []pipeline.Source{&script{schema: newSchema("a")}},
		Stages:  []pipeline.Stage{first, second}, Ledger: &pipeline.Ledger{},
		Sinks: []pipeline.NamedSink{{"x", readingSink{&reader{reads: 3}}}, {"y", readingSink{&reader{reads: 70}}}},
	}
	if err := r.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, stage := range []readingStage{first, second} {
		for i := range 80 {
			if want := i == 1 || i == 2 || i == 3 || i == 70; stage.need.Has(i) != want {
				t.Errorf("field %d: needed %v", i, !want)
			}
		}
	}
}

// echo is a stage that says each row once more, in a data source of its own.
type echo struct {
	dropX
	schema *event.Schema
	rows   chan byte
}

func newEcho() *echo { return &echo{schema: newSchema("echo"), rows: make(chan byte, 100)} }

func (e *echo) Source() pipeline.Source    { return e }
func (e *echo) Schemas() []*event.Schema   { return []*event.Schema{e.schema} }
func (e *echo) Extend(*event.Schema) error { return nil }
func (e *echo) Close() error               { return nil }

func (e *echo) Bind(*event.Schema, event.FieldSet) (pipeline.Func, error) {
	return func(b *event.Batch) error {
		for _, row := range b.Rows {
			e.rows <- row[0]
		}
		return nil
	}, nil
}

func (e *echo) Next(ctx context.Context, b *event.Batch) error {
	b.Reset(e.schema)
	select {
	case c := <-e.rows:
		b.Rows = append(b.Rows, []byte{c})
		return nil
	default:
	}
	select {
	case c := <-e.rows:
		b.Rows = append(b.Rows, []byte{c})
		return nil
	case <-ctx.Done():
	}
	if len(e.rows) == 0 {
		return io.EOF
	}
	b.Rows = append(b.Rows, []byte{<-e.rows})
	return nil
}

// The events of a stage pass only the stages after it, are counted, and all come before the run ends.
func TestStageAsSource(t *testing.T) {
	t.Parallel()
	emitter := newEcho()
	sink := &collect{}
	r := pipeline.Runner{
		Sources: []pipeline.Source{
			&script{schema: newSchema("a"), batches: [][]byte{[]byte("1x2"), []byte("x3")}},
			&script{schema: newSchema("b"), batches: [][]byte{[]byte("45")}},
		},
		Stages: []pipeline.Stage{emitter, dropX{}}, Sinks: to(sink), Ledger: &pipeline.Ledger{},
	}
	if err := r.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := account(&r, "echo").Totals(), (pipeline.Totals{Delivered: 5, Filtered: 2}); got != want || len(sink.got) != 10 {
		t.Errorf("totals %+v, want %+v; delivered %q", got, want, sink.got)
	}
}
