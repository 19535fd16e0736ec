// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package sort_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/stage/sort"
)

// inParts is a source of arrays of which each digit is a part: of so many rows, the last of an array followed by a point.
type inParts struct {
	schema *event.Schema
	script string
	row    []byte
	n      byte
}

func (p *inParts) Schemas() []*event.Schema { return []*event.Schema{p.schema} }
func (p *inParts) Close() error             { return nil }

func (p *inParts) Next(_ context.Context, b *event.Batch) error {
	b.Reset(p.schema)
	if p.script == "" {
		return io.EOF
	}
	p.row = p.row[:0]
	for range p.script[0] - '0' {
		p.row = append(p.row, pair(uint64(100-p.n), uint64(p.n))...) // the same memory for each part, as a source may
		p.n++
	}
	for rest := p.row; len(rest) > 0; rest = rest[len(pair(0, 0)):] {
		b.Rows = append(b.Rows, rest[:len(pair(0, 0))])
	}
	p.script = p.script[1:]
	rest, ends := strings.CutPrefix(p.script, ".")
	p.script, b.Continues = rest, !ends
	b.Lost = append(b.Lost, event.Loss{Count: 1})
	return nil
}

// sortedSizes sorts the arrays of a script and returns how many rows and losses each has.
func sortedSizes(t *testing.T, script string, o sort.Options) (string, error) {
	t.Helper()
	s := pairSchema("ds", false)
	o.Keys = map[event.SourceID][]sort.Key{{Name: "ds"}: {{Field: "key"}}}
	streams, err := sort.NewStreams(o)
	check(t, err)
	f := bindArrays(t, s, o)
	src := streams.Wrap(&inParts{schema: s, script: script})
	var got []string
	for {
		var b event.Batch
		if err := src.Next(t.Context(), &b); err != nil {
			if err == io.EOF {
				err = nil
			}
			return strings.Join(got, " "), err
		}
		if err := f(&b); err != nil {
			return strings.Join(got, " "), err
		}
		for i := 1; i < len(b.Rows); i++ {
			if string(b.Rows[i-1]) >= string(b.Rows[i]) { // small numbers, the lowest byte first
				t.Errorf("%q: row %d comes before %d", script, b.Rows[i-1], b.Rows[i])
			}
		}
		got = append(got, fmt.Sprint(len(b.Rows), "/", len(b.Lost), b.Continues))
	}
}

func TestArraysInPartsAreSortedAsAWhole(t *testing.T) {
	t.Parallel()
	got, err := sortedSizes(t, "3.123.0.02.4.", sort.Options{})
	if want := "3/1 false 6/3 false 0/1 false 2/2 false 4/1 false"; got != want || err != nil {
		t.Errorf("got %s, %v; want %s", strings.ReplaceAll(got, " /", "/"), err, want)
	}
}

// The rows of an array in parts keep what is known of them.
func TestHandlesOfArraysInParts(t *testing.T) {
	t.Parallel()
	s := pairSchema("ds", false)
	column := s.AddColumn(event.Field{Name: "column", Kind: event.Uint, Parent: event.NoParent, Table: new(event.Texts)})
	s.AddColumn(event.Field{Name: "empty", Kind: event.Uint, Parent: event.NoParent, Table: new(event.Texts)})
	o := sort.Options{Keys: map[event.SourceID][]sort.Key{{Name: "ds"}: {{Field: "key"}}}}
	streams, err := sort.NewStreams(o)
	check(t, err)
	f := bindArrays(t, s, o)
	src := streams.Wrap(&partsWithHandles{inParts{schema: s, script: "23.12."}, column})
	var b event.Batch
	for range 2 {
		check(t, src.Next(t.Context(), &b))
		check(t, f(&b))
		for row, rec := range b.Rows {
			if got, want := uint64(column.At(&b, row)), little.Uint64(rec); got != want {
				t.Errorf("row %d has the handle %d, want %d", row, got, want)
			}
		}
		if s.Columns()[1].Handles(&b) != nil {
			t.Error("a column without handles was filled")
		}
	}
	if len(b.Rows) != 3 {
		t.Errorf("the last array has %d rows", len(b.Rows))
	}
}

// partsWithHandles gives each row its key for a handle.
type partsWithHandles struct {
	inParts
	column event.Column
}

func (p *partsWithHandles) Next(ctx context.Context, b *event.Batch) error {
	err := p.inParts.Next(ctx, b)
	for i, handles := 0, p.column.Fill(b); i < len(handles); i++ {
		handles[i] = event.Handle(little.Uint64(b.Rows[i]))
	}
	return err
}

func TestArrayThatIsTooLargeToSort(t *testing.T) {
	t.Parallel()
	for _, script := range []string{"1.9999.", "1.9."} {
		got, err := sortedSizes(t, script, sort.Options{MaxHeld: 700})
		if err == nil || !strings.Contains(err.Error(), `data source "ds": an array is too large to be sorted`) || got != "1/1 false" {
			t.Errorf("%s: %q, %v", script, got, err)
		}
	}
}

// --max-entries counts the rows of all parts of an array.
func TestFirstRowsOfArraysInParts(t *testing.T) {
	t.Parallel()
	s := pairSchema("ds", false)
	f := bindArrays(t, s, sort.Options{MaxEntries: 4})
	src := &inParts{schema: s, script: "123.5.11."}
	var got []int
	var b event.Batch
	for src.Next(t.Context(), &b) == nil {
		check(t, f(&b))
		got = append(got, len(b.Rows))
	}
	if want := "[1 2 1 4 1 1]"; fmt.Sprint(got) != want {
		t.Errorf("rows %v, want %s", got, want)
	}
}
