// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package sort_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/stage/sort"
)

// arrival is a batch that a live source has at a moment.
type arrival struct {
	at     time.Duration // since the first call
	schema int
	rows   [][]byte
	lost   []event.Loss
}

// live is a source whose batches arrive at their times. It destroys the rows of the batch before.
type live struct {
	schemas  []*event.Schema
	arrivals []arrival
	err      error // after the last arrival; nil: wait for the context
	began    time.Time
	lent     [][]byte
	served   atomic.Int64  // rows
	leisure  time.Duration // that it takes to end
	reading  bool
	closed   bool
}

func (s *live) Schemas() []*event.Schema { return s.schemas }

func (s *live) Close() error {
	if s.reading {
		return errors.New("closed while Next is running")
	}
	s.closed = true
	return nil
}

func (s *live) Next(ctx context.Context, b *event.Batch) error {
	s.reading = true
	defer func() { s.reading = false }()
	if s.began.IsZero() {
		s.began = time.Now()
	}
	for _, row := range s.lent {
		for i := range row {
			row[i] = 0xdb
		}
	}
	s.lent = s.lent[:0]
	b.Reset(s.schemas[0])
	if len(s.arrivals) == 0 {
		if s.err == nil {
			<-ctx.Done()
			return io.EOF
		}
		return s.err
	}
	next := s.arrivals[0]
	select {
	case <-time.After(time.Until(s.began.Add(next.at))):
	case <-ctx.Done():
		if time.Since(s.began) < next.at {
			time.Sleep(s.leisure)
			return io.EOF
		}
	}
	s.arrivals = s.arrivals[1:]
	b.Reset(s.schemas[next.schema])
	for _, row := range next.rows {
		s.lent = append(s.lent, slices.Clone(row))
	}
	b.Rows = append(b.Rows, s.lent...)
	s.served.Add(int64(len(s.lent)))
	b.Lost = append(b.Lost, next.lost...)
	return nil
}

// pairSchema has records of a key to sort by and a serial number.
func pairSchema(name string, single bool) *event.Schema {
	return &event.Schema{Name: name, Single: single, Size: 16, Fields: []event.Field{
		{Name: "key", Kind: event.Uint, Size: 8, Parent: event.NoParent},
		{Name: "serial", Kind: event.Uint, Off: 8, Size: 8, Parent: event.NoParent},
	}}
}

func pair(key, serial uint64) []byte {
	return little.AppendUint64(little.AppendUint64(nil, key), serial)
}

// seen is a row that came out of a source.
type seen struct {
	at          time.Duration
	key, serial uint64
}

// wrap binds the sorting of data source "ds" to a source.
func wrap(t testing.TB, src pipeline.Source, o sort.Options) pipeline.Source {
	t.Helper()
	if o.Keys == nil {
		o.Keys = map[event.SourceID][]sort.Key{{Name: "ds"}: {{Field: "key"}}}
	}
	streams, err := sort.NewStreams(o)
	check(t, err)
	wrapped := streams.Wrap(src)
	for _, s := range src.Schemas() {
		check(t, streams.Extend(s))
		f, err := streams.Bind(s, event.FieldSet{})
		check(t, err)
		if f != nil {
			t.Error("Streams.Bind returned a Func")
		}
	}
	return wrapped
}

// drink reads a source to its end.
func drink(t testing.TB, ctx context.Context, src pipeline.Source) (rows []seen, lost []seen, err error) {
	t.Helper()
	began := time.Now()
	var b event.Batch
	for {
		err = src.Next(ctx, &b)
		for _, row := range b.Rows {
			rows = append(rows, seen{time.Since(began), little.Uint64(row), little.Uint64(row[8:])})
		}
		for _, l := range b.Lost {
			lost = append(lost, seen{at: time.Since(began), key: l.Count})
		}
		if err != nil {
			return rows, lost, err
		}
		if len(b.Rows) == 0 && len(b.Lost) == 0 && b.Schema.Single {
			t.Error("Next returned nothing")
		}
	}
}

func serials(rows []seen) string {
	var out []string
	for _, r := range rows {
		out = append(out, fmt.Sprint(r.serial))
	}
	return strings.Join(out, " ")
}

func TestStreamIsOrderedAcrossBatches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src := &live{schemas: []*event.Schema{pairSchema("ds", true)}, err: io.EOF, arrivals: []arrival{
			{at: 0, rows: [][]byte{pair(30, 1), pair(10, 2)}},
			{at: 400 * time.Millisecond, rows: [][]byte{pair(20, 3), pair(30, 4), pair(40, 5)}},
			{at: 900 * time.Millisecond, rows: [][]byte{pair(25, 6), pair(50, 7)}},
			{at: 3 * time.Second, rows: [][]byte{pair(5, 8)}},
		}}
		rows, _, err := drink(t, t.Context(), wrap(t, src, sort.Options{}))
		if err != io.EOF {
			t.Fatal(err)
		}
		// 8 came too late to be before the others; 40 and 50 did not have to wait.
		if got, want := serials(rows), "2 3 6 1 4 5 7 8"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		for _, r := range rows[:4] { // with 30, which had waited since 0
			if r.at < time.Second || r.at > 1032*time.Millisecond {
				t.Errorf("row %d left at %v", r.serial, r.at)
			}
		}
		if at := rows[7].at; at != 3*time.Second {
			t.Errorf("the last row left at %v, not when the source ended", at)
		}
	})
}

// randomArrivals are many batches over some seconds, with keys that go up with time more or less.
func randomArrivals(r *rand.Rand) (arrivals []arrival, total int) {
	spread := []int{1, 100, 5000}[r.IntN(3)] // in milliseconds
	at := time.Duration(0)
	for range 50 + r.IntN(200) {
		at += time.Duration(r.IntN(60)) * time.Millisecond
		a := arrival{at: at}
		for range r.IntN(20) {
			key := int(at/time.Millisecond) + r.IntN(spread)
			a.rows = append(a.rows, pair(uint64(key/4), uint64(total)))
			total++
		}
		if r.IntN(4) == 0 || len(a.rows) == 0 {
			a.lost = []event.Loss{{CPU: 1, Count: uint64(1 + r.IntN(9))}}
		}
		arrivals = append(arrivals, a)
	}
	return arrivals, total
}

func TestStreamsKeepTheirPromise(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) { checkPromise(t, rand.New(rand.NewPCG(seed, 7))) })
	}
}

func checkPromise(t *testing.T, r *rand.Rand) {
	window := time.Duration(10+r.IntN(2000)) * time.Millisecond
	arrivals, total := randomArrivals(r)
	end := arrivals[len(arrivals)-1].at
	descending := r.IntN(3) == 0
	before := func(a, b seen) bool { return a.key < b.key != descending && a.key != b.key }
	src := &live{schemas: []*event.Schema{pairSchema("ds", true)}, arrivals: arrivals, err: io.EOF}
	keys := map[event.SourceID][]sort.Key{{Name: "ds"}: {{Field: "key", Descending: descending}}}
	rows, lost, err := drink(t, t.Context(), wrap(t, src, sort.Options{Keys: keys, Window: window}))
	if err != io.EOF {
		t.Fatal(err)
	}
	arrived := make([]time.Duration, total)
	var losses []seen
	for _, a := range arrivals {
		for _, row := range a.rows {
			arrived[little.Uint64(row[8:])] = a.at
		}
		for _, l := range a.lost {
			losses = append(losses, seen{at: a.at, key: l.Count})
		}
	}
	if !slices.Equal(lost, losses) {
		t.Errorf("losses did not come at once:\n%v, want\n%v", lost, losses)
	}
	checkEachOnce(t, rows, total)
	for i, row := range rows {
		wait := row.at - arrived[row.serial]
		if wait > window+window/32+1 {
			t.Errorf("row %d waited for %v in a window of %v", row.serial, wait, window)
		}
		// The greatest of those that go together has been there for the whole window.
		last := i == len(rows)-1 || rows[i+1].at != row.at
		if last && row.at != end && wait < window {
			t.Errorf("row %d left after %v in a window of %v", row.serial, wait, window)
		}
		if i > 0 && before(row, rows[i-1]) && arrived[row.serial] < rows[i-1].at {
			t.Errorf("row %d, key %d, came out after row %d, key %d, though it was there before that left",
				row.serial, row.key, rows[i-1].serial, rows[i-1].key)
		}
		if i > 0 && row.key == rows[i-1].key && row.at == rows[i-1].at && row.serial < rows[i-1].serial {
			t.Errorf("equal rows %d and %d came out in another order", rows[i-1].serial, row.serial)
		}
	}
}

func checkEachOnce(t testing.TB, rows []seen, total int) {
	t.Helper()
	count := make([]int, total)
	for _, r := range rows {
		if r.serial >= uint64(total) {
			t.Fatalf("row %x is none of the source's: its memory was kept", r.serial)
		}
		count[r.serial]++
	}
	for serial, n := range count {
		if n != 1 {
			t.Errorf("row %d came out %d times", serial, n)
		}
	}
}

func TestStreamsSortLikeTheValues(t *testing.T) {
	t.Parallel()
	all := samples()
	s := newSchema(true, all)
	r := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		keys, compare := randomKeys(r, all)
		var batches []*event.Batch
		var want [][]byte
		for range 1 + r.IntN(5) {
			rows := make([][]byte, r.IntN(50))
			for i := range rows {
				rows[i] = randomRecord(r)
			}
			want = append(want, rows...)
			batches = append(batches, batchOf(s, rows))
		}
		slices.SortStableFunc(want, compare)
		src := &fixed{batches: append(batches, batchOf(s, nil))}
		wrapped := wrap(t, src, sort.Options{Keys: map[event.SourceID][]sort.Key{{Name: "ds"}: keys}, Window: time.Hour})
		var got [][]byte
		var b event.Batch
		for wrapped.Next(t.Context(), &b) == nil {
			for _, row := range b.Rows {
				got = append(got, slices.Clone(row))
			}
		}
		if !slices.EqualFunc(got, want, slices.Equal) {
			t.Fatalf("by %v: got\n%x, want\n%x", keys, got, want)
		}
	}
}

func TestStreamDrainsWhenItsContextEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src := &live{schemas: []*event.Schema{pairSchema("ds", true)}, arrivals: []arrival{
			{at: 0, rows: [][]byte{pair(3, 0), pair(1, 1)}},
			{at: 100 * time.Millisecond, rows: [][]byte{pair(2, 2)}},
			{at: time.Hour, rows: [][]byte{pair(2, 2)}},
		}}
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		wrapped := wrap(t, src, sort.Options{})
		rows, _, err := drink(t, ctx, wrapped)
		if err != io.EOF || serials(rows) != "1 2 0" {
			t.Errorf("got %s, %v", serials(rows), err)
		}
		if at := rows[0].at; at != 300*time.Millisecond {
			t.Errorf("drained at %v, want 300ms", at)
		}
		var b event.Batch
		if err := wrapped.Next(ctx, &b); err != io.EOF || len(b.Rows) > 0 {
			t.Errorf("after the end: %d rows, %v", len(b.Rows), err)
		}
		check(t, wrapped.Close())
		if !src.closed {
			t.Error("Close did not close the source")
		}
	})
}

func TestStreamCanBeClosedBeforeItsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src := &live{schemas: []*event.Schema{pairSchema("ds", true)}, arrivals: []arrival{
			{at: 0, rows: [][]byte{pair(1, 0)}}, {at: time.Hour},
		}, leisure: time.Millisecond}
		wrapped := wrap(t, src, sort.Options{})
		var b event.Batch
		check(t, wrapped.Next(t.Context(), &b))
		check(t, wrapped.Close())                      // a goroutine that stays would fail the bubble
		check(t, wrap(t, src, sort.Options{}).Close()) // before it has begun
	})
}

func TestStreamReturnsTheSourcesErrorLast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("cut short")
		src := &live{schemas: []*event.Schema{pairSchema("ds", true)}, err: broken, arrivals: []arrival{
			{rows: [][]byte{pair(3, 0), pair(1, 1)}},
		}}
		rows, _, err := drink(t, t.Context(), wrap(t, src, sort.Options{}))
		if !errors.Is(err, broken) || serials(rows) != "1 0" {
			t.Errorf("got %s, %v", serials(rows), err)
		}
	})
}

// goner is a source whose only batch comes with an error.
type goner struct{ live }

func (s *goner) Next(ctx context.Context, b *event.Batch) error {
	check := s.live.Next(ctx, b)
	if check == nil {
		return io.ErrUnexpectedEOF
	}
	return check
}

func TestStreamKeepsWhatComesWithAnError(t *testing.T) {
	t.Parallel()
	lost := []event.Loss{{Count: 4}}
	for _, a := range []arrival{
		{rows: [][]byte{pair(3, 0), pair(1, 1)}, lost: lost},
		{rows: [][]byte{pair(3, 0), pair(1, 1)}},
		{lost: lost},
		{},
	} {
		src := &goner{live{schemas: []*event.Schema{pairSchema("ds", true)}, arrivals: []arrival{a}}}
		rows, losses, err := drink(t, t.Context(), wrap(t, src, sort.Options{}))
		want := map[int]string{2: "1 0", 0: ""}[len(a.rows)]
		if err != io.ErrUnexpectedEOF || serials(rows) != want || len(losses) != len(a.lost) {
			t.Errorf("got %q, losses %v, %v", serials(rows), losses, err)
		}
	}
}

// outOfOrder returns rows whose keys are out of order by less than spread rows.
func outOfOrder(r *rand.Rand, n, spread int) [][]byte {
	var rows [][]byte
	for i := range n {
		rows = append(rows, pair(uint64(i+r.IntN(spread)), uint64(i)))
	}
	return rows
}

func isSorted(rows []seen) bool {
	return slices.IsSortedFunc(rows, func(a, b seen) int { return int(a.key) - int(b.key) })
}

// rowBytes is the memory of a row of pairSchema that is sorted by one number.
const rowBytes = 16 + 8 + 16 + 4

func TestStreamTakesTheLastBatchByParts(t *testing.T) {
	t.Parallel()
	rows := outOfOrder(rand.New(rand.NewPCG(1, 3)), 5000, 700)
	src := &goner{live{schemas: []*event.Schema{pairSchema("ds", true)}, arrivals: []arrival{{rows: rows}}}}
	got, _, err := drink(t, t.Context(), wrap(t, src, sort.Options{MaxHeld: 1000 * rowBytes}))
	if err != io.ErrUnexpectedEOF || !isSorted(got) {
		t.Errorf("not sorted, or %v", err)
	}
	checkEachOnce(t, got, len(rows))
}

func TestStreamCountsTexts(t *testing.T) {
	t.Parallel()
	const textBytes, held = 100, 500
	s := pairSchema("ds", true)
	s.Add(event.Field{Name: "text", Kind: event.String, Text: func(dst []byte, b *event.Batch, row int) []byte {
		return fmt.Appendf(dst, "%*d", textBytes, little.Uint64(b.Rows[row]))
	}})
	src := &live{schemas: []*event.Schema{s}, err: io.EOF}
	for i := range 40 {
		src.arrivals = append(src.arrivals, arrival{rows: outOfOrder(rand.New(rand.NewPCG(1, uint64(i))), 100, 10)})
	}
	wrapped := wrap(t, src, sort.Options{
		Keys: map[event.SourceID][]sort.Key{{Name: "ds"}: {{Field: "text"}}}, Window: time.Hour, MaxHeld: held * (rowBytes + 8 + textBytes),
	})
	var b event.Batch
	for n := 0; wrapped.Next(t.Context(), &b) == nil; {
		n += len(b.Rows)
		if now := int(src.served.Load()) - n; now > held+2*100 {
			t.Fatalf("%d rows are held, want at most %d", now, held)
		}
	}
}

func TestStreamsOfOneSourceHaveTheirOwnTimes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src := &live{schemas: []*event.Schema{pairSchema("ds", true), pairSchema("ds2", true)}, arrivals: []arrival{
			{at: 0, schema: 1, rows: [][]byte{pair(2, 0), pair(1, 1)}},
			{at: 300 * time.Millisecond, schema: 0, rows: [][]byte{pair(1, 2)}},
			{at: 600 * time.Millisecond, schema: 1, rows: [][]byte{pair(1, 3), pair(7, 4)}},
			{at: time.Hour},
		}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		keys := map[event.SourceID][]sort.Key{{Name: "ds"}: {{Field: "key"}}, {Name: "ds2"}: {{Field: "key"}}}
		rows, _, err := drink(t, ctx, wrap(t, src, sort.Options{Keys: keys}))
		if err != io.EOF || serials(rows) != "1 3 0 2 4" {
			t.Fatalf("got %s, %v", serials(rows), err)
		}
		for i, want := range []time.Duration{1000, 1000, 1000, 1300, 1600} {
			if late := rows[i].at - want*time.Millisecond; late < 0 || late > 32*time.Millisecond {
				t.Errorf("row %d left at %v, want %dms", rows[i].serial, rows[i].at, want)
			}
		}
	})
}

func TestStreamHoldsNoMoreThanItMay(t *testing.T) {
	t.Parallel()
	const rowsHeld = 1000
	src := &live{schemas: []*event.Schema{pairSchema("ds", true)}, err: io.EOF}
	r := rand.New(rand.NewPCG(8, 9))
	all := outOfOrder(r, 10000, rowsHeld*3/4)
	total := len(all)
	for len(all) > 0 {
		n := min(r.IntN(200), len(all))
		src.arrivals = append(src.arrivals, arrival{rows: all[:n]})
		all = all[n:]
	}
	wrapped := wrap(t, src, sort.Options{Window: time.Hour, MaxHeld: rowsHeld * rowBytes})
	var b event.Batch
	var rows []seen
	for wrapped.Next(t.Context(), &b) == nil {
		for _, row := range b.Rows {
			rows = append(rows, seen{key: little.Uint64(row), serial: little.Uint64(row[8:])})
		}
		// Beside those that are held there are a batch that is being taken and one that is being read.
		if held := int(src.served.Load()) - len(rows); held > rowsHeld+2*200 {
			t.Fatalf("%d rows are held, want at most %d", held, rowsHeld)
		}
	}
	checkEachOnce(t, rows, total)
	if !isSorted(rows) {
		t.Error("not sorted, though the rows that are out of order would fit")
	}
}

func TestStreamLetsRowsOutEarly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src := &live{schemas: []*event.Schema{pairSchema("ds", true)}, err: io.EOF}
		for i := range uint64(2000) {
			src.arrivals = append(src.arrivals, arrival{at: time.Duration(i) * time.Millisecond, rows: [][]byte{pair(i^3, i)}})
		}
		const limit = 400
		rows, _, err := drink(t, t.Context(), wrap(t, src, sort.Options{Window: time.Minute, MaxHeld: limit * rowBytes}))
		if err != io.EOF {
			t.Fatal(err)
		}
		checkEachOnce(t, rows, 2000)
		for i, row := range rows {
			if row.key != uint64(i) {
				t.Fatalf("row %d has the key %d", i, row.key)
			}
			if wait := row.at - time.Duration(row.serial)*time.Millisecond; wait > (limit+4)*time.Millisecond {
				t.Fatalf("row %d was held for %v: there was no room for it", i, wait)
			}
		}
	})
}

func TestStreamHoldsARowThatIsTooLarge(t *testing.T) {
	t.Parallel()
	big := make([]byte, 1<<20)
	var rows [][]byte
	for i := range byte(5) {
		rows = append(rows, append(pair(uint64(9-i), uint64(i)), big...))
	}
	src := &live{schemas: []*event.Schema{pairSchema("ds", true)}, err: io.EOF, arrivals: []arrival{{rows: rows}}}
	got, _, _ := drink(t, t.Context(), wrap(t, src, sort.Options{MaxHeld: 1000}))
	if serials(got) != "0 1 2 3 4" {
		t.Errorf("got %s: one at a time, each lets out the one before", serials(got))
	}
}

// The data sources of a source share the memory: rows of the one that has most in it leave.
func TestStreamsShareTheirMemory(t *testing.T) {
	t.Parallel()
	const limit = 100
	src := &live{schemas: []*event.Schema{pairSchema("ds", true), pairSchema("ds2", true)}, err: io.EOF}
	for i := range uint64(1000) {
		schema := min(int(i%10), 1) // nine of ten rows are of ds2
		src.arrivals = append(src.arrivals, arrival{schema: schema, rows: [][]byte{pair(1000-i, i)}})
	}
	keys := map[event.SourceID][]sort.Key{{Name: "ds"}: {{Field: "key"}}, {Name: "ds2"}: {{Field: "key"}}}
	wrapped := wrap(t, src, sort.Options{Keys: keys, Window: time.Hour, MaxHeld: limit * rowBytes})
	var b event.Batch
	var rows []seen
	for wrapped.Next(t.Context(), &b) == nil {
		for _, row := range b.Rows {
			rows = append(rows, seen{key: little.Uint64(row), serial: little.Uint64(row[8:])})
		}
		// Beside those that are held there are a batch that is being taken and one that is being read.
		if held := int(src.served.Load()) - len(rows); held > limit+2 {
			t.Fatalf("%d rows are held, want at most %d", held, limit)
		}
	}
	checkEachOnce(t, rows, 1000)
}

// A row that would take up more than half of the memory leaves alone, after all that are held, with what is known of it.
func TestStreamPassesLongRows(t *testing.T) {
	t.Parallel()
	s := pairSchema("ds", true)
	column := s.AddColumn(event.Field{Name: "column", Kind: event.Uint, Parent: event.NoParent, Table: new(event.Texts)})
	long := append(pair(0, 2), make([]byte, 10_000)...)
	inner := &withHandles{live: live{schemas: []*event.Schema{s}, err: io.EOF, arrivals: []arrival{
		{rows: [][]byte{pair(9, 0), pair(8, 1), long, pair(7, 3), pair(6, 4)}},
	}}, column: column}
	wrapped := wrap(t, inner, sort.Options{Window: time.Hour, MaxHeld: 10_000})
	var b event.Batch
	var got []string
	for wrapped.Next(t.Context(), &b) == nil {
		for row := range b.Rows {
			got = append(got, fmt.Sprint(little.Uint64(b.Rows[row][8:]), ":", column.At(&b, row)))
		}
	}
	if want := "[1:2 0:1 2:3 4:5 3:4]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s: serials and handles", got, want)
	}
}

// withHandles is a live source that gives its rows the handles 1, 2, 3….
type withHandles struct {
	live
	column event.Column
}

func (s *withHandles) Next(ctx context.Context, b *event.Batch) error {
	err := s.live.Next(ctx, b)
	for i, handles := 0, s.column.Fill(b); i < len(handles); i++ {
		handles[i] = event.Handle(i + 1)
	}
	return err
}

func TestStreamPassesOtherDataSources(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src := &live{
			schemas: []*event.Schema{pairSchema("ds", true), pairSchema("array", false), pairSchema("unsorted", true)},
			err:     io.EOF,
			arrivals: []arrival{
				{at: 0, schema: 0, rows: [][]byte{pair(3, 0), pair(1, 1)}},
				{at: 1 * time.Millisecond, schema: 1, rows: [][]byte{pair(9, 2), pair(8, 3)}, lost: []event.Loss{{Count: 2}}},
				{at: 2 * time.Millisecond, schema: 2, rows: [][]byte{pair(9, 4), pair(7, 5)}},
				{at: 3 * time.Millisecond, schema: 1},
				{at: 2 * time.Second, schema: 0, rows: [][]byte{pair(3, 6), pair(0, 7)}},
			},
		}
		keys := map[event.SourceID][]sort.Key{{Name: "ds"}: {{Field: "key"}}, {Name: "array"}: {{Field: "key"}}}
		rows, lost, err := drink(t, t.Context(), wrap(t, src, sort.Options{Keys: keys}))
		if err != io.EOF || serials(rows) != "2 3 4 5 1 0 7 6" || len(lost) != 1 {
			t.Errorf("got %s, %v", serials(rows), err)
		}
		if rows[2].at != 2*time.Millisecond || rows[4].at > 1100*time.Millisecond {
			t.Errorf("%v", rows)
		}
	})
}

func TestWrapOnlyWhatIsSorted(t *testing.T) {
	t.Parallel()
	streams, err := sort.NewStreams(sort.Options{Keys: map[event.SourceID][]sort.Key{{Name: "ds"}: {{Field: "key"}}}})
	check(t, err)
	for _, s := range []*event.Schema{pairSchema("other", true), pairSchema("other", false)} {
		src := &live{schemas: []*event.Schema{s}}
		if streams.Wrap(src) != pipeline.Source(src) {
			t.Errorf("%s, single %v, was wrapped", s.Name, s.Single)
		}
		if _, err := streams.Bind(s, event.FieldSet{}); err != nil {
			t.Error(err)
		}
	}
	src := &live{schemas: []*event.Schema{pairSchema("ds", true)}}
	var b event.Batch
	if err := streams.Wrap(src).Next(t.Context(), &b); err == nil || !strings.Contains(err.Error(), "must be among the stages") {
		t.Errorf("without Bind: %v", err)
	}
	check(t, streams.Close())
}

func TestStreamsKnowWhatIsKnownBeforeTheStages(t *testing.T) {
	t.Parallel()
	nothing := func(dst []byte, _ *event.Batch, _ int) []byte { return dst }
	for name, want := range map[string]string{
		"key":     "",
		"meaning": "",
		"keyy":    `there is no field "keyy" to sort by; did you mean "key"?`,
		"looked":  `field "looked" cannot order single events, only arrays: gizmo looks it up after`,
	} {
		streams, err := sort.NewStreams(sort.Options{Keys: map[event.SourceID][]sort.Key{{Name: "ds"}: {{Field: name}}}})
		check(t, err)
		s := pairSchema("ds", true)
		s.Add(event.Field{Name: "meaning", Kind: event.String, Text: nothing})
		check(t, streams.Extend(s))
		s.Add(event.Field{Name: "looked", Kind: event.String, Text: nothing})
		_, err = streams.Bind(s, event.FieldSet{})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}

func TestStreamsInTheLedger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src := &live{schemas: []*event.Schema{bytesSchema("ds", true)}, arrivals: []arrival{
			{at: 0, rows: rowsOf("52")},
			{at: 5 * time.Millisecond, rows: rowsOf("41"), lost: []event.Loss{{CPU: 3, Count: 7}}},
		}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		streams, err := sort.NewStreams(sort.Options{Keys: map[event.SourceID][]sort.Key{{Name: "ds"}: {{Field: "n", Descending: true}}}})
		check(t, err)
		var sink text
		runner := pipeline.Runner{
			Sources: []pipeline.Source{streams.Wrap(src)}, Stages: []pipeline.Stage{streams},
			Sinks: []pipeline.NamedSink{{Sink: &sink}}, Ledger: &pipeline.Ledger{},
		}
		check(t, runner.Run(ctx))
		if got, want := sink.String(), "5421\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if got, want := runner.Ledger.Account(event.SourceID{Name: "ds"}, "").Totals(), (pipeline.Totals{Delivered: 4, Lost: 7}); got != want {
			t.Errorf("totals %+v, want %+v", got, want)
		}
	})
}
