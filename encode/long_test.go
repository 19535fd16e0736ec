// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package encode_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"unicode/utf8"

	"github.com/gizmo-ebpf/gizmo/encode"
	"github.com/gizmo-ebpf/gizmo/event"
)

// longSchema has fields that can be long, and some between them that cannot. Their columns are as the style says.
func longSchema(single bool, text *[]byte, style int) *event.Schema {
	b := newBuilder("long", single)
	b.field("first", event.Uint, 4, 0).Ann.Columns.Width = 16
	b.field("string", event.String, 150_000, 0)
	b.field("short", event.String, 16, 0)
	b.field("bytes", event.Bytes, 70_000, 0)
	b.field("array", event.Int, 2, 40_000)
	b.field("last", event.Uint, 1, 0)
	added := []byte("tab\there")
	b.added("added", event.String, textOf(&added))
	addRest(b)
	// In json, whose order is that of names, these three are one memo.
	b.s.Fields = append(b.s.Fields, event.Field{Name: "columntag", Kind: event.Uint, Size: 1, Parent: event.NoParent})
	b.s.AddColumn(event.Field{Name: "column", Kind: event.String, Parent: event.NoParent, Table: derived{text}},
		event.Field{Name: "columnraw", Kind: event.Bytes, Parent: event.NoParent, Table: derived{text}})
	for i := range b.s.Fields {
		c := &b.s.Fields[i].Ann.Columns
		switch style % 4 {
		case 1:
			c.MaxWidth, c.Ellipsis = 1+(i+style)%7*20_000, event.Ellipsis(style/4%4)
		case 2:
			c.Width, c.Align = 20, event.AlignRight
		case 3:
			c.Width, c.MaxWidth, c.Ellipsis, c.Align = 300_000, 500_000, event.Ellipsis(style/4%4), event.AlignRight
		}
		if name := b.s.Fields[i].Name; name == "first" && style%3 == 0 {
			c.Replace = "column" // which may be long or empty
		}
	}
	return &b.s
}

// fillLong makes p text of one of several kinds: plain, with escapes, of characters that are long, wide or take no room, damaged,
// blank, or like a number.
func fillLong(r *rand.Rand, p []byte) {
	kinds := [][]rune{[]rune("abc xyz"), {1, 'a', '"', '\\', '\n', 0x7f}, []rune("äß€漢字\u0301\u202e😀"), {' '}, []rune("0123456789"), {'\u0300'}}
	kind := kinds[r.IntN(len(kinds))]
	var text []byte
	for n := r.IntN(len(p) + 1); len(text) < n; {
		if r.IntN(1000) == 0 && len(kind) > 1 {
			text = append(text, byte(0x80+r.UintN(0x80)))
		}
		text = utf8.AppendRune(text, kind[r.IntN(len(kind))])
	}
	clear(p)
	copy(p, text)
}

// Text that is spilled in pieces is the same as text that is made as a whole, and little of it is in memory at once.
func TestSpilledText(t *testing.T) {
	t.Parallel()
	for _, f := range encode.Formats() {
		styles := 3 // which are for columns
		if f.Name == "columns" {
			styles = 16
		}
		for style := range styles {
			t.Run(fmt.Sprint(f.Name, style), func(t *testing.T) {
				t.Parallel()
				checkSpilled(t, f, style)
			})
		}
	}
}

func checkSpilled(t *testing.T, f encode.Format, style int) {
	r := rand.New(rand.NewPCG(uint64(style), 3))
	text := make([]byte, 100_000)
	s := longSchema(style%2 == 0, &text, style)
	b := longBatch(s, r, &text)
	var spilled []byte
	longest := 0
	spill := func(p []byte) []byte {
		longest = max(longest, len(p))
		n := len(p) - r.IntN(100) // as for a file, which gets whole pages
		spilled = append(spilled, p[:n]...)
		return p[:copy(p, p[n:])]
	}
	whole := bind(t, f, s, encode.Options{})
	pieces := bind(t, f, s, encode.Options{Spill: spill})
	for range 2 { // the state of the first time is gone
		want := whole.Append(nil, b)
		spilled = spilled[:0]
		rest := pieces.Append(nil, b)
		longest = max(longest, len(rest))
		if got := append(spilled, rest...); !bytes.Equal(got, want) {
			at := firstDifference(got, want)
			t.Fatalf("%d bytes instead of %d; at %d: %q instead of %q", len(got), len(want), at, around(got, at), around(want, at))
		}
	}
	most := 700 << 10 // with a value of 64 KiB that becomes six times as long
	if f.Name == "columns" {
		most = 2 << 20 // those that are cut are made as a whole
	}
	if longest > most {
		t.Errorf("%d bytes were in memory at once", longest)
	}
}

func longBatch(s *event.Schema, r *rand.Rand, text *[]byte) *event.Batch {
	b := &event.Batch{Schema: s}
	for range 3 {
		row := make([]byte, int(s.Size)+r.IntN(2)*r.IntN(200_000))
		for i := 0; i < len(row); i += 1 + r.IntN(3) {
			row[i] = byte(r.Uint32())
		}
		digits := r.IntN(3) == 0
		for i := range s.Fields {
			f := &s.Fields[i]
			switch {
			case !f.Added && f.Kind == event.String:
				fillLong(r, row[f.Off:f.Off+f.Size])
			case f.Kind == event.Bytes && digits:
				copy(row[f.Off:f.Off+f.Size], bytes.Repeat([]byte{0x12}, int(f.Size)))
			}
		}
		b.Rows = append(b.Rows, row)
	}
	fillLong(r, *text)
	for _, c := range s.Columns() {
		for row, handles := 0, c.Fill(b); row < len(handles); row++ {
			handles[row] = event.Handle(row) // none for the first
		}
	}
	return b
}

func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

func around(p []byte, at int) []byte { return p[max(at-20, 0):min(at+20, len(p))] }
