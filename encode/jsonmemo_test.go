// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package encode

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/event"
)

// tagged is a schema with values that json remembers: a struct with a struct in it, codes with texts, and
// adjacent fields. Each text is its integer's value times *factor.
func tagged(factor *uint64) *event.Schema {
	s := &event.Schema{Name: "tagged", Single: true}
	member := func(name string, kind event.Kind, size uint32, parent int) int {
		s.Fields = append(s.Fields, event.Field{Name: name, Kind: kind, Off: s.Size, Size: size, Parent: parent})
		if kind != event.Struct {
			s.Size += size
		}
		return len(s.Fields) - 1
	}
	text := func(name string, of int) {
		f := s.Fields[of]
		s.Add(event.Field{
			Name: name, Kind: event.String, Parent: f.Parent, Reads: event.Span{Off: f.Off, Size: f.Size},
			Text: func(dst []byte, b *event.Batch, row int) []byte {
				return strconv.AppendUint(append(dst, 'x'), f.Uint(b.Rows[row])**factor, 10)
			},
		})
	}
	member("time", event.Uint, 8, event.NoParent)
	proc := member("proc", event.Struct, 33, event.NoParent)
	member("proc.comm", event.String, 16, proc)
	member("proc.pid", event.Uint, 4, proc)
	creds := member("proc.creds", event.Struct, 9, proc)
	uid := member("proc.creds.uid", event.Uint, 4, creds)
	member("proc.creds.gid", event.Uint, 4, creds)
	member("proc.creds.kind", event.Uint, 1, creds)
	member("proc.mntns", event.Uint, 4, proc)
	code := member("code_raw", event.Uint, 2, event.NoParent)
	member("fd", event.Int, 4, event.NoParent)
	flags := member("flags_raw", event.Uint, 1, event.NoParent)
	text("proc.creds.user", uid)
	text("code", code)
	text("flags", flags)
	return s
}

// records returns rows whose bytes, except those of the time, have only a few values.
func records(s *event.Schema, n int, values int) *event.Batch {
	r := rand.New(rand.NewPCG(1, uint64(values)))
	b := &event.Batch{Schema: s}
	for i := range n {
		rec := make([]byte, s.Size)
		for j := range s.Fields {
			f := &s.Fields[j]
			if f.Kind != event.Struct && !f.Added {
				rec[f.Off] = byte('a' + r.IntN(values))
			}
		}
		binary.LittleEndian.PutUint64(rec, uint64(i))
		b.Rows = append(b.Rows, rec)
	}
	return b
}

func bindTagged(t *testing.T, s *event.Schema) *jsonEncoder {
	t.Helper()
	enc, err := bindJSON(s, Options{}, jsonLayout{})
	if err != nil {
		t.Fatal(err)
	}
	return enc.(*jsonEncoder)
}

// Remembered text is the same as newly formatted text.
func TestMemoChangesNothing(t *testing.T) {
	t.Parallel()
	factor := uint64(3)
	s := tagged(&factor)
	for _, values := range []int{1, 2, 3, 20} {
		enc := bindTagged(t, s)
		if len(enc.memos) == 0 {
			t.Fatal("nothing is remembered")
		}
		all := records(s, 3000, values)
		for i := range all.Rows {
			one := &event.Batch{Schema: s, Rows: all.Rows[i : i+1]}
			got, want := enc.Append(nil, one), bindTagged(t, s).Append(nil, one)
			if string(got) != string(want) {
				t.Fatalf("%d values, row %d:\ngot  %swant %s", values, i, got, want)
			}
		}
	}
}

// A text may depend on facts that change rarely; so the encoder formats it again after a while, even within a memo that
// is a part of another.
func TestMemoForgets(t *testing.T) {
	t.Parallel()
	factor := uint64(1)
	s := tagged(&factor)
	enc := bindTagged(t, s)
	now := time.Unix(1000, 0)
	enc.now = func() time.Time { return now }
	b := records(s, 1, 1) // all integers that have texts are 'a', 97
	text := func() string { return string(enc.Append(nil, b)) }
	before := text()
	factor = 2
	if text() != before {
		t.Error("nothing was remembered")
	}
	now = now.Add(memory)
	if got, want := text(), string(bindTagged(t, s).Append(nil, b)); got != want || got == before {
		t.Errorf("after a while:\ngot  %swant %s", got, want)
	}
}

// Where hardly anything comes twice, looking for it is left out for a time.
func TestMemoRestsWhereItDoesNotPay(t *testing.T) {
	t.Parallel()
	factor := uint64(1)
	s := tagged(&factor)
	enc := bindTagged(t, s)
	b := &event.Batch{Schema: s}
	for i := range 4 * trialRows {
		rec := make([]byte, s.Size)
		for j := range rec {
			rec[j] = byte(i >> (j % 2 * 8))
		}
		b.Rows = append(b.Rows, rec)
	}
	enc.Append(nil, b)
	for i, m := range enc.memos {
		if m.rest == 0 {
			t.Errorf("memo %d does not rest: asked %d, known %d", i, m.asked, m.known)
		}
	}
	same := &event.Batch{Schema: s, Rows: slices.Repeat(b.Rows[:1], restRows+trialRows)}
	enc.Append(nil, same)
	for i, m := range enc.memos {
		if m.rest > 0 || m.known == 0 {
			t.Errorf("memo %d still rests", i)
		}
	}
}

func TestJoined(t *testing.T) {
	t.Parallel()
	span := func(off, size uint32) event.Span { return event.Span{Off: off, Size: size} }
	for _, c := range []struct{ in, want []event.Span }{
		{nil, nil},
		{[]event.Span{span(8, 4)}, []event.Span{span(8, 4)}},
		{[]event.Span{span(12, 4), span(8, 4)}, []event.Span{span(8, 8)}},
		{[]event.Span{span(8, 4), span(8, 4), span(9, 1)}, []event.Span{span(8, 4)}},
		{[]event.Span{span(0, 2), span(3, 1)}, []event.Span{span(0, 2), span(3, 1)}},
		{[]event.Span{span(0, maxMemoBytes)}, []event.Span{span(0, maxMemoBytes)}},
		{[]event.Span{span(0, maxMemoBytes), span(0, 4)}, []event.Span{span(0, maxMemoBytes)}},
		{[]event.Span{span(0, maxMemoBytes), span(200, 1)}, nil},
		{[]event.Span{span(0, 1), span(1<<31, 1<<31-1)}, nil},
	} {
		if got := joined(slices.Clone(c.in)); !slices.Equal(got, c.want) {
			t.Errorf("%v: got %v, want %v", c.in, got, c.want)
		}
	}
}
