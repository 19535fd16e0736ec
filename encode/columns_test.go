// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package encode_test

import (
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/encode"
	"github.com/gizmo-ebpf/gizmo/event"
)

// table returns the header and one row of the columns format.
func table(t *testing.T, s *event.Schema, o encode.Options, rec []byte) (header, line string) {
	t.Helper()
	f, err := encode.Lookup("columns")
	if err != nil {
		t.Fatal(err)
	}
	enc := bind(t, f, s, o)
	header = string(enc.Head(nil))
	line = string(enc.Append(nil, &event.Batch{Schema: s, Rows: [][]byte{rec}}))
	return strings.TrimSuffix(header, "\n"), strings.TrimSuffix(line, "\n")
}

func TestColumnValues(t *testing.T) {
	t.Parallel()
	two := 2
	half := binary.LittleEndian.AppendUint32(nil, math.Float32bits(0.125))
	for _, c := range []struct {
		name  string
		field event.Field
		rec   string
		want  string
	}{
		{"number", event.Field{Kind: event.Uint, Size: 4}, "\x2a\x00\x00\x00", "42"},
		{"negative", event.Field{Kind: event.Int, Size: 2}, "\xfe\xff", "-2"},
		{"hex", event.Field{Kind: event.Uint, Size: 2, Ann: base16}, "\xef\xbe", "0xbeef"},
		{"negative hex", event.Field{Kind: event.Int, Size: 2, Ann: base16}, "\xfe\xff", "0xfffe"},
		{"hex of 128 bits", event.Field{Kind: event.Uint, Size: 16, Ann: base16}, "\x01" + strings.Repeat("\x00", 7) + "\x02" + strings.Repeat("\x00", 7), "0x20000000000000001"},
		{"hex array", event.Field{Kind: event.Uint, Size: 2, Count: 2, Ann: base16}, "\x0a\x0b", "[0xa,0xb]"},
		{"float", event.Field{Kind: event.Float, Size: 4}, string(half), "0.125"},
		{"precision", event.Field{Kind: event.Float, Size: 4, Ann: event.Annotations{Columns: event.ColumnStyle{Precision: &two}}}, string(half), "0.12"},
		{"bool", event.Field{Kind: event.Bool, Size: 1}, "\x02", "true"},
		{"text", event.Field{Kind: event.String, Size: 4}, "ab\x00c", "ab"},
		{"control characters", event.Field{Kind: event.String, Size: 4}, "\x1b[m\x7f", `\x1b[m\x7f`},
		{"bytes", event.Field{Kind: event.Bytes, Size: 3}, "\x00\xff\x10", "00ff10"},
		{"trailing data", event.Field{Kind: event.Bytes, Rest: true}, "\x01\x02", "0102"},
		{"trailing text", event.Field{Kind: event.String, Rest: true}, "a\x1bb", `a\x1bb`},
		{"part of the trailing data", event.Field{Kind: event.Bytes, Rest: true, LenSize: 1}, "\x01\x02", "01"},
		{"wider than the column", event.Field{Kind: event.String, Size: 20}, "twenty characters ...", "twenty characters .."},
	} {
		c.field.Name = "f"
		s := &event.Schema{Single: true, Size: max(c.field.Size, c.field.LenSize), Fields: []event.Field{c.field}}
		if _, got := table(t, s, encode.Options{}, []byte(c.rec)); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

var base16 = event.Annotations{Columns: event.ColumnStyle{Hex: true}}

func TestColumnStyles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		style event.ColumnStyle
		text  string
		width int // of the terminal
		want  string
	}{
		{"padded", event.ColumnStyle{Width: 8}, "abc", 0, "abc      |"},
		{"16 by default", event.ColumnStyle{}, "abc", 0, "abc              |"},
		{"right", event.ColumnStyle{Width: 8, Align: event.AlignRight}, "abc", 0, "     abc |"},
		{"whole where nothing is scaled", event.ColumnStyle{Width: 4}, "abcdefgh", 0, "abcdefgh |"},
		{"MaxWidth cuts", event.ColumnStyle{Width: 4, MaxWidth: 6}, "abcdefgh", 0, "abcde… |"},
		{"MaxWidth alone", event.ColumnStyle{MaxWidth: 6}, "ab", 0, "ab     |"},
		{"MinWidth widens", event.ColumnStyle{Width: 4, MinWidth: 6}, "ab", 0, "ab     |"},
		{"fixed cuts", event.ColumnStyle{Width: 4, Fixed: true}, "abcdefgh", 0, "abc… |"},
		{"middle", event.ColumnStyle{Width: 6, Fixed: true, Ellipsis: event.EllipsisMiddle}, "abcdefgh", 0, "abc…gh |"},
		{"start", event.ColumnStyle{Width: 6, Fixed: true, Ellipsis: event.EllipsisStart}, "abcdefgh", 0, "…defgh |"},
		{"no mark", event.ColumnStyle{Width: 6, Fixed: true, Ellipsis: event.EllipsisNone}, "abcdefgh", 0, "abcdef |"},
		{"one cell", event.ColumnStyle{Width: 1, Fixed: true, Ellipsis: event.EllipsisMiddle}, "abc", 0, "… |"},
		{"one cell too many", event.ColumnStyle{Width: 4, Fixed: true, Ellipsis: event.EllipsisMiddle}, "abcde", 0, "ab…e |"},
		{"wide characters", event.ColumnStyle{Width: 6, Fixed: true}, "界面界", 0, "界面界 |"},
		{"half a wide character", event.ColumnStyle{Width: 6, Fixed: true}, "界面界面", 0, "界面…  |"},
		{"wide in the middle", event.ColumnStyle{Width: 6, Fixed: true, Ellipsis: event.EllipsisMiddle}, "界面界面", 0, "界…面  |"},
		{"wide at the end", event.ColumnStyle{Width: 6, Fixed: true, Ellipsis: event.EllipsisStart, Align: event.AlignRight}, "界面界面", 0, " …界面 |"},
		{"marks join", event.ColumnStyle{Width: 3, Fixed: true}, "e\u0301e\u0301e\u0301e\u0301", 0, "e\u0301e\u0301… |"},
		{"marks stay with what they join", event.ColumnStyle{Width: 3, Fixed: true, Ellipsis: event.EllipsisStart}, "e\u0301e\u0301e\u0301e\u0301", 0, "…e\u0301e\u0301 |"},
		{"an escape takes its cells", event.ColumnStyle{Width: 8, Fixed: true}, "a\u200bb", 0, `a\u200bb |`},
		{"an escape is cut", event.ColumnStyle{Width: 4, Fixed: true}, "a\u200bb", 0, `a\u… |`},
		{"an escape to the right", event.ColumnStyle{Width: 8, Align: event.AlignRight}, "\x1b", 0, `    \x1b |`},
		{"scaled down", event.ColumnStyle{}, "abcdefgh", 8, "abcde… |"},
		{"scaled up", event.ColumnStyle{Width: 2}, "abcdefgh", 20, "abcdefgh           |"},
		{"not above MaxWidth", event.ColumnStyle{MaxWidth: 5}, "abc", 20, "abc   |"},
		{"not below MinWidth", event.ColumnStyle{MinWidth: 7}, "abc", 4, "abc     |"},
	} {
		s := &event.Schema{Single: true, Fields: []event.Field{
			{Name: "f", Added: true, Kind: event.String, Text: textOf(&[]byte{}), Ann: event.Annotations{Columns: c.style}},
			{Name: "|", Added: true, Kind: event.String, Text: textOf(&[]byte{'|'}), Ann: event.Annotations{Columns: event.ColumnStyle{Width: 1, Fixed: true}}},
		}}
		text := []byte(c.text)
		s.Fields[0].Text = textOf(&text)
		if _, got := table(t, s, encode.Options{Width: c.width}, nil); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		style event.ColumnStyle
		width int
		want  string
	}{
		{"proc.comm", event.ColumnStyle{}, 0, "PROC.COMM"},
		{"proc.comm", event.ColumnStyle{Header: "comm"}, 0, "COMM"},
		{"proc.comm", event.ColumnStyle{Width: 4}, 0, "PROC.COMM"},
		{"proc.comm", event.ColumnStyle{Width: 4, Fixed: true}, 0, "PRO…"},
		{"proc.comm", event.ColumnStyle{MaxWidth: 6}, 0, "PROC.…"},
		{"proc.comm", event.ColumnStyle{}, 7, "PROC.C…"},
		{"proc.comm", event.ColumnStyle{Align: event.AlignRight, Width: 12}, 0, "   PROC.COMM"},
		{"x\x1b[m", event.ColumnStyle{}, 0, `X\x1b[M`},
	} {
		s := &event.Schema{Fields: []event.Field{
			{Name: c.name, Kind: event.String, Ann: event.Annotations{Columns: c.style}},
		}}
		if got, _ := table(t, s, encode.Options{Width: c.width}, nil); got != c.want {
			t.Errorf("%+v: got %q, want %q", c, got, c.want)
		}
	}
}

func TestNumbersAreNotCutToFit(t *testing.T) {
	t.Parallel()
	b := newBuilder("numbers", true)
	b.field("a", event.Uint, 8, 0)
	b.field("b", event.Uint, 8, 0).Ann.Columns.MaxWidth = 4
	rec := []byte(strings.Repeat("\xff", 16))
	if _, got := table(t, &b.s, encode.Options{Width: 12}, rec); got != "18446744073709551615 184…" {
		t.Errorf("got %q", got)
	}
}

func TestReplace(t *testing.T) {
	t.Parallel()
	own, other := []byte("own"), []byte("other")
	schema := func(replace string, node bool) *event.Schema {
		s := &event.Schema{Fields: []event.Field{
			{Name: "n.f", Added: true, Kind: event.String, Text: textOf(&own), Ann: event.Annotations{Columns: event.ColumnStyle{Replace: replace}}},
			{Name: "n.g", Added: true, Kind: event.String, Text: textOf(&other), Ann: event.Annotations{Columns: event.ColumnStyle{Hidden: true}}},
			{Name: "empty", Added: true, Kind: event.String, Text: textOf(&[]byte{}), Ann: event.Annotations{Columns: event.ColumnStyle{Hidden: true}}},
		}}
		if node {
			s.Fields[0] = event.Field{Name: "n", Kind: event.Struct, Ann: s.Fields[0].Ann}
		}
		return s
	}
	for _, c := range []struct {
		replace string
		node    bool
		want    string
	}{
		{"n.g", false, "other"},
		{"g", false, "other"},
		{"empty", false, "own"},
		{"unknown", false, "own"},
		{"n.f", false, "own"},
		{"n.g", true, "other"},
		{"empty", true, ""},
	} {
		if _, got := table(t, schema(c.replace, c.node), encode.Options{}, nil); got != c.want {
			t.Errorf("%+v: got %q", c, got)
		}
	}
}

// TestScaledLinesFit checks, for all widths of the terminal, that lines fill it wherever the columns
// allow that, and never lose a column.
func TestScaledLinesFit(t *testing.T) {
	t.Parallel()
	s := traceOpen()
	b := traceOpenBatch(s, 5)
	least := 0
	for width := 1; width < 400; width++ {
		header, line := table(t, s, encode.Options{Width: width}, b.Rows[1])
		if strings.Count(header, " ") < 10 {
			t.Fatalf("width %d: columns are missing: %q", width, header)
		}
		n := max(len([]rune(header)), len([]rune(line)))
		switch {
		case width == 1:
			least = n
		case n > max(width, least):
			t.Fatalf("width %d: the line takes %d cells, the least is %d: %q", width, n, least, line)
		}
	}
}
