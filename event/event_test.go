// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package event_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
)

func TestFieldReadsIntegers(t *testing.T) {
	t.Parallel()
	rec := []byte{0xee, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x01}
	for _, c := range []struct {
		name  string
		f     event.Field
		wantU uint64
		wantI int64
	}{
		{"8 bits", event.Field{Off: 1, Size: 1}, 0xfe, -2},
		{"16 bits", event.Field{Off: 1, Size: 2}, 0xfffe, -2},
		{"32 bits", event.Field{Off: 1, Size: 4}, 0xfffffffe, -2},
		{"64 bits", event.Field{Off: 1, Size: 8}, 0x7ffffffffffffffe, 0x7ffffffffffffffe},
		{"first element", event.Field{Off: 1, Size: 4, Count: 2}, 0xfffe, -2},
		{"3 bytes", event.Field{Off: 7, Size: 3}, 0x017fff, 0x017fff},
		{"bits", event.Field{Off: 8, Size: 1, BitOff: 1, BitSize: 3}, 7, -1},
		{"bits across bytes", event.Field{Off: 8, Size: 2, BitOff: 6, BitSize: 3}, 5, -3},
	} {
		if got := c.f.Uint(rec); got != c.wantU {
			t.Errorf("%s: Uint %#x, want %#x", c.name, got, c.wantU)
		}
		if got := c.f.Int(rec); got != c.wantI {
			t.Errorf("%s: Int %d, want %d", c.name, got, c.wantI)
		}
	}
}

func TestCString(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"": "", "\x00x": "", "ab\x00c": "ab", "full": "full"} {
		if got := event.CString([]byte(in)); string(got) != want {
			t.Errorf("CString(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestTrailing(t *testing.T) {
	t.Parallel()
	rec := []byte{2, 0, 'a', 'b', 'c'}
	all := event.Field{Kind: event.Bytes, Rest: true, Off: 2}
	told := all
	told.LenSize = 2
	for _, c := range []struct {
		f    event.Field
		rec  []byte
		want string
	}{{all, rec, "abc"}, {told, rec, "ab"}, {told, []byte{9, 0, 'a'}, "a"}, {told, rec[:2], ""}, {all, rec[:2], ""}} {
		if got := c.f.Trailing(c.rec); string(got) != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

// numbered returns a batch of rows 0 to n-1, with the handle 10*row in the first of two columns.
func numbered(n byte) (*event.Batch, event.Column, event.Column) {
	s := &event.Schema{Size: 1}
	first := s.AddColumn(event.Field{Name: "first", Kind: event.String, Table: new(event.Texts)})
	second := s.AddColumn(event.Field{Name: "second", Kind: event.String, Table: new(event.Texts)})
	b := &event.Batch{}
	b.Reset(s)
	for i := range n {
		b.Rows = append(b.Rows, []byte{i})
	}
	for row, handles := 0, first.Fill(b); row < len(handles); row++ {
		handles[row] = event.Handle(row * 10)
	}
	return b, first, second
}

func TestKeepRemovesRowsAndTheirHandles(t *testing.T) {
	t.Parallel()
	b, first, second := numbered(6)
	if gone := b.Keep(func(row int) bool { return b.Rows[row][0]%2 == 1 }); gone != 3 {
		t.Errorf("removed %d rows, want 3", gone)
	}
	for i, row := range b.Rows {
		if want := byte(2*i + 1); row[0] != want || first.At(b, i) != event.Handle(want)*10 {
			t.Errorf("row %d: %d with handle %d", i, row[0], first.At(b, i))
		}
	}
	if len(first.Handles(b)) != 3 || second.Handles(b) != nil || second.At(b, 0) != 0 {
		t.Errorf("handles %v and %v", first.Handles(b), second.Handles(b))
	}
	b.Reset(b.Schema)
	if len(b.Rows) != 0 || first.Handles(b) != nil {
		t.Error("Reset left something")
	}
}

func TestTruncatePermuteAndCopy(t *testing.T) {
	t.Parallel()
	b, first, _ := numbered(4)
	b.PermuteColumns([]uint32{3, 1, 0, 2})
	if got := first.Handles(b); !slices.Equal(got, []event.Handle{30, 10, 0, 20}) {
		t.Errorf("permuted: %v", got)
	}
	b.Truncate(2)
	b.More, b.Lost = true, []event.Loss{{CPU: 1, Count: 2}}
	var c event.Batch
	c.Copy(b)
	if len(c.Rows) != 2 || !slices.Equal(first.Handles(&c), []event.Handle{30, 10}) || !c.More || len(c.Lost) != 1 || c.Schema != b.Schema {
		t.Errorf("copy: %+v, handles %v", c, first.Handles(&c))
	}
	first.Fill(b)[0] = 7 // the copy has handles of its own
	if first.At(&c, 0) != 30 {
		t.Error("the copy shares its handles")
	}
}

// Two stages that fill columns do not get into each other's way.
func TestColumnsAreApart(t *testing.T) {
	t.Parallel()
	b, first, second := numbered(3)
	second.Fill(b)[1] = 5
	if !slices.Equal(first.Handles(b), []event.Handle{0, 10, 20}) || !slices.Equal(second.Handles(b), []event.Handle{0, 5, 0}) {
		t.Errorf("handles %v and %v", first.Handles(b), second.Handles(b))
	}
}

func TestLookupFindsTheLast(t *testing.T) {
	t.Parallel()
	s := &event.Schema{Size: 1, Fields: []event.Field{{Name: "a", Kind: event.Uint, Size: 1}}}
	added := s.Add(event.Field{Name: "a", Kind: event.String, Text: func(dst []byte, _ *event.Batch, _ int) []byte { return dst }})
	if i, ok := s.Lookup("a"); !ok || i != added {
		t.Errorf("found field %d, want %d, which the output shows", i, added)
	}
	if _, ok := s.Lookup("b"); ok {
		t.Error("found a field that is not there")
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{"a": false, "__a": true, "a.__b": true, "a__b": false, "a.b": false, "_a": false} {
		if event.IsPrivate(name) != want {
			t.Errorf("IsPrivate(%q) is %v", name, !want)
		}
	}
	for _, c := range []struct {
		name, above string
		want        bool
	}{{"a.b", "a", true}, {"a.b.c", "a", true}, {"a", "a", false}, {"ab.c", "a", false}, {"a.b", "", true}, {"a", "a.b", false}} {
		if event.IsUnder(c.name, c.above) != c.want {
			t.Errorf("IsUnder(%q, %q) is %v", c.name, c.above, !c.want)
		}
	}
	if got := (event.SourceID{Gadget: "one", Name: "open"}).String(); got != "one/open" {
		t.Error(got)
	}
	if got := (&event.Schema{Name: "open"}).ID().String(); got != "open" {
		t.Error(got)
	}
}

func TestKeepAllocatesNothing(t *testing.T) {
	rows := make([][]byte, 64)
	for i := range rows {
		rows[i] = []byte{byte(i)}
	}
	b := event.Batch{Rows: make([][]byte, 0, 64)}
	if n := testing.AllocsPerRun(10, func() {
		b.Rows = append(b.Rows[:0], rows...)
		b.Keep(func(row int) bool { return b.Rows[row][0] > 9 })
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestFieldSet(t *testing.T) {
	t.Parallel()
	var s event.FieldSet
	for _, i := range []int{0, 63, 64, 200, 64} {
		s.Add(i)
	}
	var other event.FieldSet
	other.AddAll(s)
	if other.Len() != 4 || !other.Has(64) {
		t.Errorf("a union: %+v", other)
	}
	if s.Len() != 4 || !s.Has(200) || !s.Has(63) || s.Has(1) || s.Has(1000) {
		t.Errorf("%+v", s)
	}
}

func TestCloneCanBeExtended(t *testing.T) {
	t.Parallel()
	s := &event.Schema{Fields: make([]event.Field, 1, 8)}
	c := s.Clone()
	i := c.Add(event.Field{Name: "x"})
	if len(s.Fields) != 1 || !c.Fields[i].Added {
		t.Error("the original changed, or the field is not marked as added")
	}
	s.Fields = append(s.Fields, event.Field{Name: "y"})
	if c.Fields[i].Name != "x" {
		t.Error("the two share memory")
	}
}

func ExampleSchema_Lookup() {
	s := &event.Schema{Name: "open", Fields: []event.Field{
		{Name: "pid", Kind: event.Uint, Off: 0, Size: 4, Parent: event.NoParent},
	}}
	i, _ := s.Lookup("pid")
	fmt.Println(s.Fields[i].Uint([]byte{0x39, 0x05, 0, 0}))
	// Output: 1337
}
