// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package event_test

import (
	"fmt"
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

func TestKeepRemovesRowsAndTheirHandles(t *testing.T) {
	t.Parallel()
	s := &event.Schema{Size: 1}
	var b event.Batch
	b.Reset(s)
	b.Cols = [][]event.Handle{nil, nil} // the second stays empty
	for i := range byte(6) {
		b.Rows = append(b.Rows, []byte{i})
		b.Cols[0] = append(b.Cols[0], event.Handle(i*10))
	}
	if gone := b.Keep(func(row int) bool { return b.Rows[row][0]%2 == 1 }); gone != 3 {
		t.Errorf("removed %d rows, want 3", gone)
	}
	for i, row := range b.Rows {
		if want := byte(2*i + 1); row[0] != want || b.Cols[0][i] != event.Handle(want)*10 {
			t.Errorf("row %d: %d with handle %d", i, row[0], b.Cols[0][i])
		}
	}
	b.Reset(s)
	if len(b.Rows) != 0 || len(b.Cols[0]) != 0 {
		t.Error("Reset left something")
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
