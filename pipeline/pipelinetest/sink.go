// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pipelinetest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// SinkCase describes a sink to [Sink].
type SinkCase struct {
	// New returns a sink for the data sources and a function, called after the last Write, that returns the
	// events that the sink has delivered. The schemas are made by [NewSchema].
	New func(t testing.TB, schemas []*event.Schema) (sink pipeline.Sink, delivered func() []Delivered)
	// NoMarks says that the sink delivers records alone, so that Mark stays empty.
	NoMarks bool
	// Slow says that the sink of New cannot take all batches at once, and returns pipeline.ErrDropped for
	// some.
	Slow bool
}

// Delivered is an event as it has left a sink.
type Delivered struct {
	Source event.SourceID
	Serial uint64 // the value of the field "serial"
	Text   string // of "text"
	Mark   string // of "mark"
}

// Sink runs the tests that every [pipeline.Sink] passes.
func Sink(t *testing.T, c SinkCase) {
	t.Helper()
	run(t, sinkRules(), c)
}

func sinkRules() []rule[SinkCase] {
	return []rule[SinkCase]{
		{"Bind names fields", bindNamesFields},
		{"batches of all kinds", deliversAll},
		{"batches without rows", takesEmptyBatches},
		{"the batch stays as it is", batchStays},
		{"several goroutines at once", writesAtOnce},
	}
}

// sinkRun is a sink at work.
type sinkRun struct {
	t         testing.TB
	c         SinkCase
	sink      pipeline.Sink
	delivered func() []Delivered
	schemas   []*event.Schema
}

func newSinkRun(t testing.TB, c SinkCase) *sinkRun {
	t.Helper()
	r := &sinkRun{t: t, c: c, schemas: []*event.Schema{NewSchema(One, true), NewSchema(Arrays, false), NewSchema(Two, true)}}
	r.sink, r.delivered = c.New(t, r.schemas)
	for _, s := range r.schemas {
		reads, err := r.sink.Bind(s)
		if err != nil {
			t.Fatalf("Bind to data source %q: %v", s.ID(), err)
		}
		checkSet(t, "Bind", s, reads)
	}
	return r
}

// writer writes batches of one data source and notes which events were taken.
type writer struct {
	r       *sinkRun
	schema  *event.Schema
	script  Script
	serial  uint64
	b       event.Batch
	taken   []uint64
	dropped int
	err     error
}

func (r *sinkRun) writer(source int) *writer {
	return &writer{r: r, schema: r.schemas[source], serial: uint64(source) << 32}
}

// prepare fills w.b with the next n events.
func (w *writer) prepare(n int, more bool) {
	next := newBatch(w.schema, &w.serial, n)
	next.More = more
	w.script.play(&next, &w.b)
}

// write writes the next n events, then destroys the batch.
func (w *writer) write(n int, more bool, lost ...event.Loss) {
	first := w.serial
	w.prepare(n, more)
	w.b.Lost = append(w.b.Lost, lost...)
	switch err := w.r.sink.Write(&w.b); {
	case errors.Is(err, pipeline.ErrDropped):
		w.dropped += n
	case err != nil:
		w.err = errors.Join(w.err, err)
	default:
		for serial := first; serial < w.serial; serial++ {
			w.taken = append(w.taken, serial)
		}
	}
	w.destroy()
}

// destroy overwrites everything that a sink could have kept.
func (w *writer) destroy() {
	for _, row := range w.b.Rows {
		for i := range row {
			row[i] = garbage
		}
	}
	for i := range w.b.Rows {
		w.b.Rows[i] = nil
	}
	for _, column := range w.schema.Columns() {
		clear(column.Handles(&w.b))
	}
	for i := range w.b.Lost {
		w.b.Lost[i] = event.Loss{CPU: 1 << 20, Cause: 200, Count: 1 << 60}
	}
}

// check compares what was delivered with what was taken.
func (r *sinkRun) check(writers ...*writer) {
	r.t.Helper()
	for _, w := range writers {
		if w.err != nil {
			r.t.Fatalf("Write to data source %q: %v", w.schema.ID(), w.err)
		}
	}
	got := make(map[event.SourceID][]uint64)
	for _, d := range r.delivered() {
		got[d.Source] = append(got[d.Source], d.Serial)
		want := Delivered{Source: d.Source, Serial: d.Serial, Text: Text(d.Serial), Mark: Mark(d.Serial)}
		if r.c.NoMarks {
			want.Mark = ""
		}
		if d != want {
			r.t.Fatalf("delivered %+v, want %+v", d, want)
		}
	}
	for _, w := range writers {
		if !slices.Equal(got[w.schema.ID()], w.taken) {
			r.t.Errorf("of data source %q the events %s were delivered; taken were %s",
				w.schema.ID(), describe(got[w.schema.ID()]), describe(w.taken))
		}
	}
}

// describe shortens a list of serials.
func describe(serials []uint64) string {
	if len(serials) > 12 {
		return fmt.Sprintf("%d … (%d)", serials[:12], len(serials))
	}
	return fmt.Sprint(serials)
}

func bindNamesFields(t testing.TB, c SinkCase) {
	newSinkRun(t, c).delivered()
}

func deliversAll(t testing.TB, c SinkCase) {
	r := newSinkRun(t, c)
	one, arrays, two := r.writer(0), r.writer(1), r.writer(2)
	for i := range 30 {
		one.write(1+i, i%3 != 0)
		arrays.write(i%4, false)
		two.write(i%2, true, event.Loss{CPU: i % 3, Cause: event.BufferFull, Count: 1})
	}
	one.write(0, false)
	two.write(0, false)
	r.check(one, arrays, two)
}

func takesEmptyBatches(t testing.TB, c SinkCase) {
	r := newSinkRun(t, c)
	var writers []*writer
	for i := range r.schemas {
		w := r.writer(i)
		writers = append(writers, w)
		w.write(0, true)
		w.write(0, false)
		w.write(0, false, event.Loss{CPU: event.NoCPU, Cause: event.Damaged, Count: 2})
	}
	r.check(writers...)
}

// batchStays compares a batch before and after: the next sink gets it, too.
func batchStays(t testing.TB, c SinkCase) {
	r := newSinkRun(t, c)
	for i := range r.schemas {
		w := r.writer(i)
		w.prepare(20, false)
		w.b.Lost = append(w.b.Lost, event.Loss{CPU: 1, Count: 7})
		var before event.Batch
		before.Copy(&w.b)
		rows := bytes.Join(w.b.Rows, nil)
		if err := r.sink.Write(&w.b); err != nil && !errors.Is(err, pipeline.ErrDropped) {
			t.Fatalf("Write to data source %q: %v", w.schema.ID(), err)
		}
		same := w.b.Schema == before.Schema && w.b.More == before.More && slices.Equal(w.b.Lost, before.Lost) &&
			bytes.Equal(bytes.Join(w.b.Rows, nil), rows) && slices.EqualFunc(w.b.Rows, before.Rows, sameMemory)
		for _, column := range w.schema.Columns() {
			same = same && slices.Equal(column.Handles(&w.b), column.Handles(&before))
		}
		if !same {
			t.Errorf("Write changes a batch of data source %q", w.schema.ID())
		}
	}
	r.delivered()
}

func sameMemory(a, b []byte) bool { return len(a) == len(b) && &a[0] == &b[0] }

// writesAtOnce writes from a goroutine for each data source.
func writesAtOnce(t testing.TB, c SinkCase) {
	r := newSinkRun(t, c)
	var all sync.WaitGroup
	var writers []*writer
	for i, s := range r.schemas {
		w := r.writer(i)
		writers = append(writers, w)
		all.Go(func() {
			for round := range 60 {
				w.write(round%23, s.Single && round%5 != 0)
			}
			w.write(0, false)
		})
	}
	all.Wait()
	dropped := 0
	for _, w := range writers {
		dropped += w.dropped
	}
	switch {
	case c.Slow && dropped == 0:
		t.Errorf("the sink is said to be slow, and has dropped nothing: the case does not test what it leaves of a batch")
	case !c.Slow && dropped > 0:
		t.Errorf("the sink dropped %d events; say in the case that it is slow", dropped)
	}
	r.check(writers...)
}
