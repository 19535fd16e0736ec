// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pipelinetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// SourceCase describes a source to [Source].
type SourceCase struct {
	// New returns a new source that has rows at hand. The suite closes it.
	New func(t testing.TB) pipeline.Source
	// Rows is how many rows the source has at hand. It gives all of them without waiting, and no others.
	Rows int
	// Live says that the source ends only when its context is done. Other sources end after their rows.
	Live bool
	// Broken returns a source that fails after some rows, and the number of those; nil if it cannot fail.
	Broken func(t testing.TB) (src pipeline.Source, rows int)
	// Long returns a source that has rows for 300 batches or more, and that allocates nothing for an event once it has
	// warmed up. If Long is nil, the suite does not test that.
	Long func(t testing.TB) pipeline.Source
}

// Source runs the tests that every [pipeline.Source] passes.
func Source(t *testing.T, c SourceCase) {
	t.Helper()
	run(t, sourceRules(c), c)
}

func sourceRules(c SourceCase) []rule[SourceCase] {
	rules := []rule[SourceCase]{
		{"the schemas stay", schemasStay},
		{"batches fit their schemas", batchesFit},
		{"all rows come, then the end", allComesThenTheEnd},
		{"nothing is left of the batch before", batchIsReset},
		{"rows are valid until the next call", rowsStayValid},
		{"after the context all that is there comes", doneContextDrains},
		{"More only when there is more", moreIsTrue},
		{"Close at any time", closesAtAnyTime},
		{"Close leaves nothing behind", closeLeavesNothing},
	}
	if c.Broken != nil {
		rules = append(rules, rule[SourceCase]{"an error is the end", errorIsTheEnd})
	}
	if c.Long != nil && !raceDetector { // the detector allocates, too
		rules = append(rules, rule[SourceCase]{"Next allocates nothing", nextAllocatesNothing})
	}
	return rules
}

// read reads a source to its end, fails the test if there is an error, and calls see for each batch that is not
// empty.
func (c *SourceCase) read(t testing.TB, src pipeline.Source, see func(b *event.Batch)) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var b event.Batch
	for rows := 0; ; {
		if c.Live && rows >= c.Rows {
			cancel()
		}
		err := next(ctx, t, src, &b)
		if err == nil || !isEmpty(&b) {
			rows += len(b.Rows)
			see(&b)
		}
		switch {
		case errors.Is(err, io.EOF):
			return
		case err != nil:
			t.Fatalf("Next: %v", err)
		}
	}
}

// open makes a source that is closed when the rule is done.
func (c *SourceCase) open(t testing.TB) (src pipeline.Source, closeIt func()) {
	t.Helper()
	src = c.New(t)
	return src, func() { t.Helper(); closing(t, src) }
}

func schemasStay(t testing.TB, c SourceCase) {
	src, closeIt := c.open(t)
	defer closeIt()
	schemas := slices.Clone(src.Schemas())
	if len(schemas) == 0 {
		t.Fatalf("the source has no schema")
	}
	before := make([]*event.Schema, len(schemas))
	for i, s := range schemas {
		before[i] = s.Clone()
		for _, other := range schemas[:i] {
			if other.ID() == s.ID() {
				t.Errorf("two data sources are called %q", s.ID())
			}
		}
	}
	check := func(*event.Batch) {
		if !slices.Equal(src.Schemas(), schemas) {
			t.Fatalf("Schemas returns others than before the first batch")
		}
		for i, s := range schemas {
			if what := schemaChange(before[i], s); what != "" {
				t.Fatalf("the schema of data source %q changed while events came: %s", before[i].ID(), what)
			}
		}
	}
	c.read(t, src, check)
	check(nil)
}

func batchesFit(t testing.TB, c SourceCase) {
	src, closeIt := c.open(t)
	defer closeIt()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for rows := 0; ; {
		if c.Live && rows >= c.Rows {
			cancel()
		}
		var b event.Batch
		err := next(ctx, t, src, &b)
		if !slices.Contains(src.Schemas(), b.Schema) {
			t.Fatalf("Next returned a batch whose schema is not one of Schemas (error: %v)", err)
		}
		checkShape(t, &b)
		if err != nil {
			return
		}
		if isEmpty(&b) {
			t.Fatalf("Next returned without rows, a loss or an error")
		}
		rows += len(b.Rows)
	}
}

func allComesThenTheEnd(t testing.TB, c SourceCase) {
	src, closeIt := c.open(t)
	defer closeIt()
	rows := 0
	c.read(t, src, func(b *event.Batch) { rows += len(b.Rows) })
	if rows != c.Rows {
		t.Errorf("%d rows came, want %d", rows, c.Rows)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 2 {
		var b event.Batch
		if err := next(ctx, t, src, &b); !errors.Is(err, io.EOF) || len(b.Rows) > 0 || len(b.Lost) > 0 {
			t.Errorf("after the end: %d rows, %d losses, error %v; want io.EOF alone", len(b.Rows), len(b.Lost), err)
		}
	}
}

// batchIsReset gives the source batches that another source has filled.
func batchIsReset(t testing.TB, c SourceCase) {
	src, closeIt := c.open(t)
	defer closeIt()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	used, serial := NewSchema("used", true), uint64(0)
	junk := newBatch(used, &serial, 3)
	lost := event.Loss{CPU: event.NoCPU, Cause: event.Malformed, Count: 1 << 60}
	for rows, more := 0, false; ; {
		if c.Live && rows >= c.Rows {
			cancel()
		}
		b := event.Batch{}
		b.Reset(used)
		b.Rows, b.Lost, b.More = append(b.Rows, junk.Rows...), append(b.Lost, lost), true
		for _, column := range used.Columns() {
			for i := range column.Fill(&b) {
				column.Handles(&b)[i] = 1 << 30
			}
		}
		err := next(ctx, t, src, &b)
		checkLeftOver(t, &b, &junk, lost)
		if more && isEmpty(&b) || err != nil && b.More {
			t.Fatalf("Next left More of the batch before (error: %v)", err)
		}
		if err != nil {
			return
		}
		rows, more = rows+len(b.Rows), b.More
	}
}

func checkLeftOver(t testing.TB, b *event.Batch, junk *Batch, lost event.Loss) {
	t.Helper()
	for _, row := range b.Rows {
		if len(row) > 0 && &row[0] == &junk.Rows[0][0] {
			t.Fatalf("Next left a row of the batch before")
		}
	}
	if slices.Contains(b.Lost, lost) {
		t.Fatalf("Next left a loss of the batch before")
	}
	for _, column := range b.Schema.Columns() {
		if slices.Contains(column.Handles(b), 1<<30) {
			t.Fatalf("Next left handles of the batch before")
		}
	}
}

// rowsStayValid looks at rows again after a source that reads ahead has had the time to overwrite them.
func rowsStayValid(t testing.TB, c SourceCase) {
	src, closeIt := c.open(t)
	defer closeIt()
	batches := 0
	c.read(t, src, func(b *event.Batch) {
		if batches++; batches > 50 {
			return
		}
		before := make([][]byte, len(b.Rows))
		for i, row := range b.Rows {
			before[i] = bytes.Clone(row)
		}
		time.Sleep(time.Millisecond)
		for i, row := range b.Rows {
			if !bytes.Equal(row, before[i]) {
				t.Fatalf("row %d of batch %d changed before the next call of Next", i, batches)
			}
		}
	})
}

func doneContextDrains(t testing.TB, c SourceCase) {
	src, closeIt := c.open(t)
	defer closeIt()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	rows := 0
	for {
		var b event.Batch
		err := next(ctx, t, src, &b)
		rows += len(b.Rows)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("Next with a context that is done: %v", err)
		}
	}
	if rows != c.Rows {
		t.Errorf("with a context that is done %d rows came before io.EOF, want %d", rows, c.Rows)
	}
}

func moreIsTrue(t testing.TB, c SourceCase) {
	src, closeIt := c.open(t)
	defer closeIt()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var b event.Batch
	for rows, more := 0, false; ; {
		if c.Live && rows >= c.Rows {
			cancel()
		}
		err := next(ctx, t, src, &b)
		if more && isEmpty(&b) {
			t.Fatalf("a batch had More set, and the next one has nothing (error: %v)", err)
		}
		if err != nil {
			return
		}
		rows, more = rows+len(b.Rows), b.More
	}
}

func closesAtAnyTime(t testing.TB, c SourceCase) {
	for _, calls := range []int{0, 1, 2} {
		src, closeIt := c.open(t)
		var b event.Batch
		ctx, cancel := context.WithCancel(t.Context())
		rows := 0
		for range calls {
			if rows >= c.Rows || next(ctx, t, src, &b) != nil {
				break // a live source would wait
			}
			rows += len(b.Rows)
		}
		closeIt()
		cancel()
	}
	src, closeIt := c.open(t)
	c.read(t, src, func(*event.Batch) {})
	closeIt()
}

func closeLeavesNothing(t testing.TB, c SourceCase) {
	leavesNothing(t, func(round int) {
		src, closeIt := c.open(t)
		defer closeIt()
		switch {
		case round%3 == 0:
		case round%3 == 1 && c.Rows > 0:
			var b event.Batch
			if err := next(t.Context(), t, src, &b); err != nil && !errors.Is(err, io.EOF) {
				t.Fatalf("Next: %v", err)
			}
		default:
			c.read(t, src, func(*event.Batch) {})
		}
	})
}

func errorIsTheEnd(t testing.TB, c SourceCase) {
	src, want := c.Broken(t)
	defer closing(t, src)
	rows := 0
	for {
		var b event.Batch
		err := next(t.Context(), t, src, &b)
		rows += len(b.Rows)
		if errors.Is(err, io.EOF) {
			t.Fatalf("the source ended with io.EOF, want another error")
		}
		if err != nil {
			break
		}
	}
	if rows != want {
		t.Errorf("%d rows came before the error, want %d", rows, want)
	}
	for range 2 {
		var b event.Batch
		if err := next(t.Context(), t, src, &b); err == nil || len(b.Rows) > 0 || len(b.Lost) > 0 {
			t.Errorf("after the error Next returned %d rows, %d losses and the error %v; want an error alone", len(b.Rows), len(b.Lost), err)
		}
	}
}

// nextAllocatesNothing measures until the source allocates nothing: how long it takes to warm up depends on the source. A
// source that allocates for each event never stops.
func nextAllocatesNothing(t testing.TB, c SourceCase) {
	const measured, most = 100, 30
	src := c.Long(t)
	defer closing(t, src)
	var b event.Batch
	var err error
	ctx := t.Context()
	allocs, rows := 0.0, 0
	for round := 0; round < most && err == nil; round++ {
		got := 0
		n := testing.AllocsPerRun(measured-1, func() { // and once before
			if err == nil {
				err = src.Next(ctx, &b)
				got += len(b.Rows)
			}
		})
		switch {
		case err != nil && round < 2:
			t.Fatalf("Next: %v; want rows for 300 batches", err)
		case err == nil:
			allocs, rows = n, got
		}
		if err == nil && allocs == 0 {
			break
		}
	}
	switch {
	case allocs > 0:
		t.Errorf("Next allocates %v times for a batch of %d rows", allocs, rows/measured)
	case rows == 0:
		t.Errorf("no rows came in %d batches", measured)
	}
}
