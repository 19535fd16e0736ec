// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package sort_test

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/stage/sort"
)

// bindArrays returns the function that sorts arrays of s.
func bindArrays(t testing.TB, s *event.Schema, o sort.Options) pipeline.Func {
	t.Helper()
	stage, err := sort.NewArrays(o)
	check(t, err)
	check(t, stage.Extend(s))
	f, err := stage.Bind(s, event.FieldSet{})
	check(t, err)
	return f
}

func TestArraysSortLikeTheValues(t *testing.T) {
	t.Parallel()
	all := samples()
	s := newSchema(false, all)
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 400 {
		keys, compare := randomKeys(r, all)
		if round < 2*len(all) { // each field alone, in both directions
			one := all[round/2]
			keys, compare = []sort.Key{{Field: one.field.Name, Descending: round%2 == 1}}, one.compare
			if round%2 == 1 {
				compare = func(a, b []byte) int { return one.compare(b, a) }
			}
		}
		f := bindArrays(t, s, sort.Options{Keys: map[event.SourceID][]sort.Key{{Name: "ds"}: keys}})
		for range 3 { // the memory is reused
			checkArray(t, f, s, r, keys, compare)
		}
	}
}

func checkArray(t *testing.T, f pipeline.Func, s *event.Schema, r *rand.Rand, keys []sort.Key, compare func(a, b []byte) int) {
	t.Helper()
	rows := make([][]byte, r.IntN(200))
	for i := range rows {
		rows[i] = randomRecord(r)
	}
	b := batchOf(s, rows)
	first, _ := fillFirst(b)
	want := make([]int, len(rows))
	for i := range want {
		want[i] = i
	}
	slices.SortStableFunc(want, func(i, j int) int { return compare(rows[i], rows[j]) })
	check(t, f(b))
	for i, row := range b.Rows {
		if &row[0] != &rows[want[i]][0] {
			t.Fatalf("by %v: row %d is\n%x, want\n%x", keys, i, row, rows[want[i]])
		}
		if got := int(first.At(b, i)); got != want[i] {
			t.Fatalf("by %v: row %d has the handle of row %d, want %d", keys, i, got, want[i])
		}
	}
}

// fillFirst gives the batch two columns, and each row's index as its handle in the first of them.
func fillFirst(b *event.Batch) (first, second event.Column) {
	s := b.Schema.Clone()
	first, second = s.AddColumn(), s.AddColumn()
	for row, handles := 0, first.Fill(b); row < len(handles); row++ {
		handles[row] = event.Handle(row)
	}
	return first, second
}

// bytesSchema has records of one byte, "n".
func bytesSchema(name string, single bool) *event.Schema {
	return &event.Schema{Name: name, Single: single, Size: 1, Fields: []event.Field{
		{Name: "n", Kind: event.Uint, Size: 1, Parent: event.NoParent},
	}}
}

func rowsOf(text string) [][]byte {
	var rows [][]byte
	for i := range text {
		rows = append(rows, []byte(text[i:i+1]))
	}
	return rows
}

func TestMaxEntries(t *testing.T) {
	t.Parallel()
	byN := map[event.SourceID][]sort.Key{{Name: "ds"}: {{Field: "n"}}}
	down := map[event.SourceID][]sort.Key{{Name: "ds"}: {{Field: "n", Descending: true}}}
	for _, c := range []struct {
		keys     map[event.SourceID][]sort.Key
		max      int
		in, want string
	}{
		{byN, 3, "52431", "123"},
		{down, 3, "52431", "543"},
		{nil, 3, "52431", "524"},
		{byN, 5, "52431", "12345"},
		{byN, 9, "52431", "12345"},
		{byN, 0, "52431", "12345"},
		{byN, 1, "7", "7"},
		{byN, 2, "", ""},
		{map[event.SourceID][]sort.Key{{Name: "other"}: {{Field: "n"}}}, 2, "52431", "52"},
	} {
		s := bytesSchema("ds", false)
		b := batchOf(s, rowsOf(c.in))
		first, second := fillFirst(b)
		check(t, bindArrays(t, s, sort.Options{Keys: c.keys, MaxEntries: c.max})(b))
		if got := string(bytes.Join(b.Rows, nil)); got != c.want || len(first.Handles(b)) != len(c.want) || second.Handles(b) != nil {
			t.Errorf("%v of %q by %v: got %q with %d handles, want %q", c.max, c.in, c.keys, got, len(first.Handles(b)), c.want)
		}
		for _, row := range b.Rows[len(c.want):len(c.in)] {
			if row != nil {
				t.Errorf("%v of %q: a row that is out was kept", c.max, c.in)
			}
		}
	}
}

func TestArraysPass(t *testing.T) {
	t.Parallel()
	stage, err := sort.NewArrays(sort.Options{Keys: map[event.SourceID][]sort.Key{{Name: "ds"}: {{Field: "n"}}}, MaxEntries: 1})
	check(t, err)
	if f, err := stage.Bind(bytesSchema("ds", true), event.FieldSet{}); f != nil || err != nil {
		t.Errorf("single events: got a Func, or %v", err)
	}
	stage, err = sort.NewArrays(sort.Options{})
	check(t, err)
	if f, err := stage.Bind(bytesSchema("ds", false), event.FieldSet{}); f != nil || err != nil {
		t.Errorf("nothing to do: got a Func, or %v", err)
	}
	check(t, stage.Close())
}

// fixed is a source of prepared batches.
type fixed struct {
	batches []*event.Batch
}

func (s *fixed) Schemas() []*event.Schema { return []*event.Schema{s.batches[0].Schema} }
func (s *fixed) Close() error             { return nil }

func (s *fixed) Next(_ context.Context, b *event.Batch) error {
	b.Reset(s.batches[0].Schema)
	if len(s.batches) == 1 {
		return io.EOF
	}
	b.Rows = append(b.Rows, s.batches[0].Rows...)
	s.batches = s.batches[1:]
	return nil
}

// text collects the bytes of rows of one byte, a line for each batch.
type text struct{ bytes.Buffer }

func (s *text) Bind(*event.Schema) (event.FieldSet, error) { return event.FieldSet{}, nil }

func (s *text) Write(b *event.Batch) error {
	for _, row := range b.Rows {
		s.WriteByte(row[0])
	}
	return s.WriteByte('\n')
}

func TestArraysInTheLedger(t *testing.T) {
	t.Parallel()
	s := bytesSchema("ds", false)
	src := &fixed{batches: []*event.Batch{batchOf(s, rowsOf("4231")), batchOf(s, nil), batchOf(s, rowsOf("1")), batchOf(s, nil)}}
	stage, err := sort.NewArrays(sort.Options{Keys: map[event.SourceID][]sort.Key{{Name: "ds"}: {{Field: "n"}}}, MaxEntries: 3})
	check(t, err)
	var sink text
	runner := pipeline.Runner{Sources: []pipeline.Source{src}, Stages: []pipeline.Stage{stage}, Sinks: []pipeline.NamedSink{{Sink: &sink}}, Ledger: &pipeline.Ledger{}}
	check(t, runner.Run(t.Context()))
	if got, want := sink.String(), "123\n\n1\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := runner.Ledger.Account(s.ID(), "").Totals(), (pipeline.Totals{Delivered: 4, Filtered: 1}); got != want {
		t.Errorf("totals %+v, want %+v", got, want)
	}
}

func TestBadKeys(t *testing.T) {
	t.Parallel()
	all := samples()
	s := newSchema(false, all)
	s.Fields = append(s.Fields,
		event.Field{Name: "proc", Kind: event.Struct, Size: 8},
		event.Field{Name: "proc.pid", Kind: event.Uint, Size: 4},
		event.Field{Name: "proc.__secret", Kind: event.Uint, Size: 4},
		event.Field{Name: "empty", Kind: event.Struct},
		event.Field{Name: "__pad", Kind: event.Uint, Size: 4},
		event.Field{Name: "outside", Kind: event.Uint, Off: recordSize - 3, Size: 4},
		event.Field{Name: "badrest", Kind: event.Bytes, Rest: true, Off: recordSize, LenOff: recordSize, LenSize: 4},
	)
	for name, want := range map[string]string{
		"pdi":           `there is no field "pdi" to sort by`,
		"pid":           `; did you mean "proc.pid"?`,
		"U64":           `; did you mean "u64"?`,
		"proc":          `field "proc" is a struct; sort by its members: proc.pid`,
		"empty":         `field "empty" is a struct`,
		"__pad":         `there is no field "__pad"`,
		"proc.__secret": `there is no field "proc.__secret"`,
		"outside":       "ends at byte 129 of a record of 128 bytes",
		"badrest":       "ends at byte 132 of a record of 128 bytes",
	} {
		o := sort.Options{Keys: map[event.SourceID][]sort.Key{{Name: "ds"}: {{Field: "u8"}, {Field: name}}}}
		stage, err := sort.NewArrays(o)
		check(t, err)
		if _, err := stage.Bind(s, event.FieldSet{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v, want one with %q", name, err, want)
		}
		if reads, err := stage.Reads(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: Reads returned %v, %v, want an error with %q", name, reads, err, want)
		}
	}
}

func TestReads(t *testing.T) {
	t.Parallel()
	s := bytesSchema("ds", false)
	s.Fields = append(s.Fields, s.Fields[0], s.Fields[0])
	s.Fields[2].Name = "m"
	o := sort.Options{Keys: map[event.SourceID][]sort.Key{{Name: "ds"}: {{Field: "m"}, {Field: "n"}}}}
	stage, err := sort.NewArrays(o)
	check(t, err)
	reads, err := stage.Reads(s)
	// Of fields of the same name it is the last that the output shows.
	if err != nil || reads.Len() != 2 || !reads.Has(2) || !reads.Has(1) {
		t.Errorf("got %v, %v, want the fields 1 and 2", reads, err)
	}
	for _, other := range []*event.Schema{bytesSchema("other", false), bytesSchema("ds", true)} {
		if reads, err := stage.Reads(other); reads.Len() != 0 || err != nil {
			t.Errorf("data source %q, single %v: %v, %v", other.Name, other.Single, reads, err)
		}
	}
}

func TestBadOptions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		o    sort.Options
		want string
	}{
		{sort.Options{MaxEntries: -1}, "max-entries"},
		{sort.Options{Window: -1}, "sort-window: want at least 1ms"},
		{sort.Options{Window: 999}, "sort-window: want at least 1ms"},
		{sort.Options{MaxHeld: -1}, "held events"},
	} {
		if _, err := sort.NewArrays(c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("NewArrays(%+v): %v", c.o, err)
		}
		if _, err := sort.NewStreams(c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("NewStreams(%+v): %v", c.o, err)
		}
	}
}

func TestArraysAllocateNothing(t *testing.T) {
	all := samples()
	s := newSchema(false, all)
	r := rand.New(rand.NewPCG(3, 4))
	rows := make([][]byte, 300)
	for i := range rows {
		rows[i] = randomRecord(r)
	}
	b := batchOf(s, rows)
	fillFirst(b)
	for _, one := range all {
		if strings.HasPrefix(one.field.Name, "added") || one.field.Name == "maybe" {
			continue // the texts of the samples allocate
		}
		f := bindArrays(t, s, sort.Options{Keys: map[event.SourceID][]sort.Key{{Name: "ds"}: {{Field: one.field.Name, Descending: true}, {Field: "u32"}}}})
		run := func() {
			copy(b.Rows, rows)
			check(t, f(b))
		}
		if n := testing.AllocsPerRun(5, run); n != 0 {
			t.Errorf("by %s: %v allocations", one.field.Name, n)
		}
	}
}
