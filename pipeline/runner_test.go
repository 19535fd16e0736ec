// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pipeline_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// script is a source that returns prepared batches, and ends after them or when its context does.
type script struct {
	schema  *event.Schema
	batches [][]byte // one byte a row; a last byte '+' says that there is more
	lost    []event.Loss
	live    bool // wait for the context after the last batch, then return one more row
	err     error
}

func (s *script) Schemas() []*event.Schema { return []*event.Schema{s.schema} }
func (s *script) Close() error             { return nil }

func (s *script) Next(ctx context.Context, b *event.Batch) error {
	b.Reset(s.schema)
	if len(s.batches) > 0 {
		rows, more := bytes.CutSuffix(s.batches[0], []byte("+"))
		for i := range rows {
			b.Rows = append(b.Rows, rows[i:i+1])
		}
		b.More = more
		b.Lost = append(b.Lost, s.lost...)
		s.lost = nil
		s.batches = s.batches[1:]
		return nil
	}
	if s.live {
		<-ctx.Done()
		s.live = false
		b.Rows = append(b.Rows, []byte{'!'})
		return nil
	}
	if s.err != nil {
		return s.err
	}
	return io.EOF
}

type collect struct {
	readsNothing
	mu    sync.Mutex
	got   []byte
	failN int // fail at the n-th write, counted from 1; 0: never
	n     int
}

var errSink = errors.New("no room")

// to makes a list of a sink that needs no name.
func to(sink pipeline.Sink) []pipeline.NamedSink { return []pipeline.NamedSink{{Sink: sink}} }

func account(r *pipeline.Runner, source string) *pipeline.Account {
	return r.Ledger.Account(event.SourceID{Name: source}, "")
}

// readsNothing is a sink's Bind that asks for no field.
type readsNothing struct{}

func (readsNothing) Bind(*event.Schema) (event.FieldSet, error) { return event.FieldSet{}, nil }

func (c *collect) Write(b *event.Batch) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n++; c.n == c.failN {
		return errSink
	}
	for _, row := range b.Rows {
		c.got = append(c.got, row[0])
	}
	return nil
}

// dropX is a stage that removes the rows "x".
type dropX struct{}

func (dropX) Extend(*event.Schema) error { return nil }
func (dropX) Close() error               { return nil }
func (dropX) Reads(*event.Schema) (event.FieldSet, error) {
	return event.FieldSet{}, nil
}
func (dropX) Bind(*event.Schema, event.FieldSet) (pipeline.Func, error) {
	return func(b *event.Batch) error {
		b.Keep(func(row int) bool { return b.Rows[row][0] != 'x' })
		return nil
	}, nil
}

func newSchema(name string) *event.Schema { return &event.Schema{Name: name, Single: true, Size: 1} }

func TestRunAccountsForEveryEvent(t *testing.T) {
	src := &script{
		schema:  newSchema("a"),
		batches: [][]byte{[]byte("1x2"), []byte("xx"), []byte("3")},
		lost:    []event.Loss{{CPU: 1, Count: 5}, {CPU: 0, Count: 2}},
	}
	other := &script{schema: newSchema("b"), batches: [][]byte{[]byte("45")}}
	sink := &collect{}
	var told int
	r := pipeline.Runner{
		Sources: []pipeline.Source{src, other}, Stages: []pipeline.Stage{dropX{}}, Sinks: to(sink), Ledger: &pipeline.Ledger{},
		OnLoss: func(_ *event.Schema, l []event.Loss) { told += len(l) },
	}
	if err := r.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	slices.Sort(sink.got)
	if string(sink.got) != "12345" {
		t.Errorf("delivered %q", sink.got)
	}
	a := account(&r, "a")
	if got, want := a.Totals(), (pipeline.Totals{Delivered: 3, Filtered: 3, Lost: 7}); got != want {
		t.Errorf("totals %+v, want %+v", got, want)
	}
	if got := a.Totals().Produced(); got != 13 {
		t.Errorf("produced %d, want 13", got)
	}
	if l := a.Losses(); len(l) != 2 || l[0].CPU != 0 || l[0].Count != 2 {
		t.Errorf("losses %+v", l)
	}
	if told != 2 {
		t.Errorf("OnLoss got %d losses, want 2", told)
	}
	if got := r.Ledger.Lost(); got != 7 {
		t.Errorf("ledger lost %d, want 7", got)
	}
}

func TestRunStopsBeforeDraining(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	src := &script{schema: newSchema("a"), live: true}
	sink := &collect{}
	stopped := false
	r := pipeline.Runner{
		Sources: []pipeline.Source{src}, Sinks: to(sink), Ledger: &pipeline.Ledger{},
		Stop: func() { stopped = src.live }, // the source still waits: draining comes after
	}
	cancel()
	if err := r.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if !stopped || string(sink.got) != "!" {
		t.Errorf("stopped before draining: %v, delivered %q", stopped, sink.got)
	}
}

func TestRunBooksWhatTheSinkRefused(t *testing.T) {
	src := &script{schema: newSchema("a"), batches: [][]byte{[]byte("1"), []byte("23"), []byte("456")}, live: true}
	other := &script{schema: newSchema("b"), live: true}
	r := pipeline.Runner{
		Sources: []pipeline.Source{src, other}, Sinks: to(&collect{failN: 2}), Ledger: &pipeline.Ledger{},
	}
	if err := r.Run(t.Context()); !errors.Is(err, errSink) {
		t.Fatalf("got %v, want the sink's error", err)
	}
	got := account(&r, "a").Totals()
	if want := (pipeline.Totals{Delivered: 1, Lost: 6}); got != want {
		t.Errorf("totals %+v, want %+v", got, want)
	}
}

// dropping takes every second batch.
type dropping struct {
	collect
	calls int
}

func (d *dropping) Write(b *event.Batch) error {
	if d.calls++; d.calls%2 == 0 {
		return pipeline.ErrDropped
	}
	return d.collect.Write(b)
}

// A sink that falls behind loses events, all of them counted, and the run goes on.
func TestRunBooksWhatTheSinkDropped(t *testing.T) {
	src := &script{schema: newSchema("a"), batches: [][]byte{[]byte("1"), []byte("23"), []byte("456"), []byte("789")}}
	sink := &dropping{}
	told := uint64(0)
	r := pipeline.Runner{
		Sources: []pipeline.Source{src}, Sinks: to(sink), Ledger: &pipeline.Ledger{},
		OnLoss: func(_ *event.Schema, losses []event.Loss) { told += losses[0].Count },
	}
	if err := r.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	a := account(&r, "a")
	if got, want := a.Totals(), (pipeline.Totals{Delivered: 4, Lost: 5}); got != want || string(sink.got) != "1456" {
		t.Errorf("totals %+v, want %+v; delivered %q", got, want, sink.got)
	}
	if l := a.Losses(); len(l) != 1 || l[0].Cause != event.OutputSlow || told != 5 {
		t.Errorf("losses %+v, OnLoss got %d", l, told)
	}
}

func TestRunReturnsTheSourcesError(t *testing.T) {
	broken := errors.New("cut short")
	src := &script{schema: newSchema("a"), batches: [][]byte{[]byte("12")}, err: broken}
	sink := &collect{}
	r := pipeline.Runner{Sources: []pipeline.Source{src}, Sinks: to(sink), Ledger: &pipeline.Ledger{}}
	if err := r.Run(t.Context()); !errors.Is(err, broken) {
		t.Fatalf("got %v", err)
	}
	if string(sink.got) != "12" {
		t.Errorf("delivered %q before the error", sink.got)
	}
}

// putting is a sink that puts off work whenever it may, and records its calls: "/" when it writes everything that it
// has.
type putting struct {
	readsNothing
	calls  string
	failAt string // fails at the row of that name
}

func (p *putting) Write(b *event.Batch) error {
	for _, row := range b.Rows {
		p.calls += string(row[0])
		if p.failAt != "" && p.failAt[0] == row[0] {
			return errSink
		}
	}
	if !b.More {
		p.calls += "/"
	}
	return nil
}

// A sink writes the rows that it has put off when there is no more, whatever happens to later batches, and
// they count only then.
func TestRunEndsWhatTheSinkPutOff(t *testing.T) {
	endless := []byte(strings.Repeat("1", 40))
	for _, c := range []struct {
		name    string
		batches string // by commas
		err     error
		stage   pipeline.Stage
		failAt  string
		calls   string
		totals  pipeline.Totals
	}{
		{"one by one", "1,2", nil, dropX{}, "", "1/2/", pipeline.Totals{Delivered: 2}},
		{"together", "1+,2+,3,4", nil, dropX{}, "", "123/4/", pipeline.Totals{Delivered: 4}},
		{"the last is filtered", "1+,x,x", nil, dropX{}, "", "1/", pipeline.Totals{Delivered: 1, Filtered: 2}},
		{"nothing but filtered", "x+,x+,x", nil, dropX{}, "", "/", pipeline.Totals{Filtered: 3}},
		{"the end instead of more", "1+,2+", nil, dropX{}, "", "12/", pipeline.Totals{Delivered: 2}},
		{"an error instead of more", "1+,2+", io.ErrUnexpectedEOF, dropX{}, "", "12/", pipeline.Totals{Delivered: 2}},
		{"a stage fails", "1+,2+,!", nil, failAtMark{}, "", "12/", pipeline.Totals{Delivered: 2, Lost: 1}},
		{"the sink fails", "1,2+,3+,4", nil, dropX{}, "3", "1/23", pipeline.Totals{Delivered: 1, Lost: 3}},
		{
			"always more", strings.Join(strings.Split(string(endless), ""), "+,"), nil, dropX{}, "",
			strings.Repeat(strings.Repeat("1", 16)+"/", 2) + "11111111/", pipeline.Totals{Delivered: 40},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := &script{schema: newSchema("a"), err: c.err}
			for b := range strings.SplitSeq(c.batches, ",") {
				src.batches = append(src.batches, []byte(b))
			}
			sink := &putting{failAt: c.failAt}
			r := pipeline.Runner{
				Sources: []pipeline.Source{src}, Stages: []pipeline.Stage{c.stage}, Sinks: to(sink), Ledger: &pipeline.Ledger{},
			}
			err := r.Run(t.Context())
			if wantErr := c.err != nil || c.failAt != "" || c.stage != (dropX{}); (err != nil) != wantErr {
				t.Errorf("error %v", err)
			}
			got := account(&r, "a").Totals()
			if sink.calls != c.calls || got != c.totals {
				t.Errorf("the sink saw %q, want %q; totals %+v, want %+v", sink.calls, c.calls, got, c.totals)
			}
		})
	}
}

// failAtMark is a stage that fails at the row "!".
type failAtMark struct{ dropX }

func (failAtMark) Bind(*event.Schema, event.FieldSet) (pipeline.Func, error) {
	return func(b *event.Batch) error {
		if len(b.Rows) > 0 && b.Rows[0][0] == '!' {
			return fmt.Errorf("row %q makes no sense", b.Rows[0])
		}
		return nil
	}, nil
}

// refuse is a stage that cannot be bound.
type refuse struct{ dropX }

func (refuse) Bind(*event.Schema, event.FieldSet) (pipeline.Func, error) {
	return nil, errors.New("no such field")
}

func TestRunStartsOnlyWhatCanBeBound(t *testing.T) {
	started := 0
	run := func(stage pipeline.Stage, start error) error {
		r := pipeline.Runner{
			Sources: []pipeline.Source{&script{schema: newSchema("a")}}, Stages: []pipeline.Stage{stage},
			Sinks: to(&collect{}), Ledger: &pipeline.Ledger{},
			Start: func() error { started++; return start },
		}
		return r.Run(t.Context())
	}
	if err := run(refuse{}, nil); err == nil || started != 0 {
		t.Errorf("error %v, started %d times", err, started)
	}
	if err := run(dropX{}, nil); err != nil || started != 1 {
		t.Errorf("error %v, started %d times", err, started)
	}
	if err := run(dropX{}, errSink); !errors.Is(err, errSink) {
		t.Errorf("got %v, want the error of Start", err)
	}
}

// readsSecond is a stage that reads the second field.
type readsSecond struct{ dropX }

func (readsSecond) Reads(*event.Schema) (need event.FieldSet, err error) {
	need.Add(1)
	return need, nil
}

// Sources learn which fields sinks and stages read, before anything starts.
func TestRunAsks(t *testing.T) {
	s := newSchema("a")
	s.Fields = make([]event.Field, 3)
	asked := -1
	r := pipeline.Runner{
		Sources: []pipeline.Source{&script{schema: s}}, Stages: []pipeline.Stage{readsSecond{}}, Sinks: to(&collect{}), Ledger: &pipeline.Ledger{},
		Ask: func(of *event.Schema, need event.FieldSet) {
			if of != s || !need.Has(1) {
				t.Errorf("asked for %+v of %s", need, of.Name)
			}
			asked = need.Len()
		},
		Start: func() error {
			if asked != 1 {
				t.Errorf("asked for %d fields", asked)
			}
			return nil
		},
	}
	if err := r.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
}
