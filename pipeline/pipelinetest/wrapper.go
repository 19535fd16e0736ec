// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pipelinetest

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// The data sources of the source that [Wrapper] hands to a wrapper. Their schemas are made by [NewSchema].
const (
	One    = "one"    // single events
	Two    = "two"    // single events, as many again
	Arrays = "arrays" // arrays, some of them empty
)

// WrapperCase describes a source that wraps another to [Wrapper].
type WrapperCase struct {
	// Wrap wraps a source with the data sources One, Two and Arrays, and prepares it for a run.
	Wrap func(t testing.TB, inner pipeline.Source) pipeline.Source
	// Holds says that the wrapper holds rows back and passes them on in its own batches, so that it has to set More
	// itself. Other wrappers pass each batch on unchanged.
	Holds bool
}

// Wrapper runs the tests that every source that wraps another passes: those of [Source], and tests that it passes on
// everything that the source below returns.
func Wrapper(t *testing.T, c WrapperCase) {
	t.Helper()
	for _, live := range []bool{false, true} {
		name := "ends by itself"
		if live {
			name = "ends with the context"
		}
		t.Run(name, func(t *testing.T) { Source(t, c.source(live)) })
	}
	for _, r := range wrapperRules {
		t.Run(r.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { r.check(t, c) })
		})
	}
}

// wrapperRules run in a bubble of package synctest: waiting moves the clock.
var wrapperRules = []rule[WrapperCase]{
	{"rows and their handles", passesRows},
	{"losses", passesLosses},
	{"arrays", passesArrays},
	{"More", passesMore},
	{"errors", passesErrors},
}

// source describes the wrapper as a source like any other.
func (c WrapperCase) source(live bool) SourceCase {
	all := script()
	wrapped := func(change func(s *Script)) func(t testing.TB) pipeline.Source {
		return func(t testing.TB) pipeline.Source {
			s := script()
			for i := range s.Batches {
				s.Batches[i].Wait = 0
			}
			change(s)
			return c.Wrap(t, s)
		}
	}
	return SourceCase{
		New:  wrapped(func(s *Script) { s.Live = live }),
		Rows: all.rows(""),
		Live: live,
		Long: wrapped(func(s *Script) { s.Loop = true }),
		Broken: func(t testing.TB) (pipeline.Source, int) {
			return wrapped(func(s *Script) { s.Err = io.ErrUnexpectedEOF })(t), all.rows("")
		},
	}
}

// script returns the source below: batches of all kinds, some of which take a while to come.
func script() *Script {
	one, two, arrays := NewSchema(One, true), NewSchema(Two, true), NewSchema(Arrays, false)
	s := &Script{DataSources: []*event.Schema{one, two, arrays}}
	serial := uint64(0)
	for i := range 60 {
		schema := []*event.Schema{one, two, one, arrays, two}[i%5]
		n := 1 + i*7%90
		switch i {
		case 8, 33: // arrays
			n = 0
		case 20: // more than fits a batch of most sources
			n = 1500
		case 25, 26: // a loss alone
			n = 0
		}
		b := newBatch(schema, &serial, n)
		if i%4 == 1 || n == 0 && schema.Single {
			b.Lost = append(b.Lost, event.Loss{CPU: i % 3, Cause: event.BufferFull, Count: uint64(i) + 1})
		}
		if i%12 == 5 {
			b.Lost = append(b.Lost, event.Loss{CPU: event.NoCPU, Cause: event.Malformed, Count: 1})
		}
		if i%6 == 5 {
			b.Wait = time.Duration(i) * 50 * time.Millisecond
		}
		s.Batches = append(s.Batches, b)
	}
	for i := range len(s.Batches) - 1 {
		s.Batches[i].More = s.Batches[i+1].Wait == 0
	}
	return s
}

// rows counts the rows of a data source; those of all, if it has no name.
func (s *Script) rows(name string) int {
	n := 0
	for i := range s.Batches {
		if name == "" || s.Batches[i].Schema.Name == name {
			n += len(s.Batches[i].Rows)
		}
	}
	return n
}

// readWrapped wraps s and reads to the end. see gets each batch and how long it took to come.
func (c *WrapperCase) readWrapped(t testing.TB, s *Script, see func(b *event.Batch, took time.Duration)) error {
	t.Helper()
	src := c.Wrap(t, s)
	defer closing(t, src)
	var b event.Batch
	for {
		began := time.Now()
		err := next(t.Context(), t, src, &b)
		took := time.Since(began)
		if err == nil || !isEmpty(&b) {
			see(&b, took)
		}
		if err != nil {
			return err
		}
	}
}

func (c *WrapperCase) readToEOF(t testing.TB, s *Script, see func(b *event.Batch, took time.Duration)) {
	t.Helper()
	if err := c.readWrapped(t, s, see); !errors.Is(err, io.EOF) {
		t.Errorf("the wrapped source ended with the error %v, want io.EOF", err)
	}
}

func passesRows(t testing.TB, c WrapperCase) {
	s := script()
	want := make(map[uint64]*event.Schema)
	for i := range s.Batches {
		for _, row := range s.Batches[i].Rows {
			want[serialOf(row)] = s.Batches[i].Schema
		}
	}
	c.readToEOF(t, s, func(b *event.Batch, _ time.Duration) {
		checkShape(t, b)
		columns := b.Schema.Columns()
		for i, row := range b.Rows {
			serial := serialOf(row)
			if want[serial] != b.Schema {
				t.Fatalf("row %d came twice, or in a batch of another data source: %q", serial, b.Schema.ID())
			}
			delete(want, serial)
			if !bytes.Equal(row, Record(serial)) {
				t.Fatalf("row %d is %x, want %x", serial, row, Record(serial))
			}
			first, second := handlesOf(serial)
			if got := [...]event.Handle{columns[0].At(b, i), columns[1].At(b, i)}; got != [...]event.Handle{first, second} {
				t.Fatalf("row %d has the handles %v, want %v", serial, got, []event.Handle{first, second})
			}
		}
	})
	if len(want) > 0 {
		t.Errorf("%d of %d rows did not come", len(want), s.rows(""))
	}
}

// lossKey is what losses are counted by.
type lossKey struct {
	schema *event.Schema
	cpu    int
	cause  event.Cause
}

func passesLosses(t testing.TB, c WrapperCase) {
	s := script()
	want, got := make(map[lossKey]uint64), make(map[lossKey]uint64)
	count := func(in map[lossKey]uint64, schema *event.Schema, lost []event.Loss) {
		for _, l := range lost {
			in[lossKey{schema, l.CPU, l.Cause}] += l.Count
		}
	}
	for i := range s.Batches {
		count(want, s.Batches[i].Schema, s.Batches[i].Lost)
	}
	c.readToEOF(t, s, func(b *event.Batch, _ time.Duration) { count(got, b.Schema, b.Lost) })
	if !maps.Equal(got, want) {
		for key, n := range want {
			if got[key] != n {
				t.Errorf("losses of data source %q, CPU %d, %s: %d, want %d", key.schema.ID(), key.cpu, key.cause, got[key], n)
			}
		}
		t.Errorf("losses of %d kinds came, want %d", len(got), len(want))
	}
}

// passesArrays looks at the number of rows of each array: it is one batch.
func passesArrays(t testing.TB, c WrapperCase) {
	s := script()
	var want []int
	for i := range s.Batches {
		if !s.Batches[i].Schema.Single {
			want = append(want, len(s.Batches[i].Rows))
		}
	}
	c.readToEOF(t, s, func(b *event.Batch, _ time.Duration) {
		if b.Schema.Single {
			return
		}
		if len(want) == 0 || want[0] != len(b.Rows) {
			t.Fatalf("an array of %d rows came, want those of %v next", len(b.Rows), want)
		}
		want = want[1:]
	})
	if len(want) > 0 {
		t.Errorf("%d arrays did not come", len(want))
	}
}

func passesMore(t testing.TB, c WrapperCase) {
	s := script()
	at, more, name := 0, false, ""
	c.readToEOF(t, s, func(b *event.Batch, took time.Duration) {
		if more && took > 0 {
			t.Fatalf("a batch of data source %q had More set, and the next one took %v to come", name, took)
		}
		if !c.Holds && (at == len(s.Batches) || b.More != s.Batches[at].More) {
			t.Fatalf("batch %d has More %v, unlike that of the source below", at, b.More)
		}
		at, more, name = at+1, b.More, b.Schema.Name
	})
	if more {
		t.Errorf("the last batch had More set")
	}
}

func passesErrors(t testing.TB, c WrapperCase) {
	s := script()
	s.Err = errors.New("the script breaks off")
	rows := 0
	err := c.readWrapped(t, s, func(b *event.Batch, _ time.Duration) { rows += len(b.Rows) })
	if !errors.Is(err, s.Err) || rows != s.rows("") {
		t.Errorf("%d rows came and the error %v; want %d rows, then %q", rows, err, s.rows(""), s.Err)
	}
}
