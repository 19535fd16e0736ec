// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package event_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
)

// sample returns a schema with a field of every form and origin, and a batch of one row. textOf is the text that the
// fields with a Text write.
func sample(textOf *string) (*event.Schema, *event.Batch) {
	s := &event.Schema{Name: "sample", Single: true, Size: 64, Fields: []event.Field{
		{Name: "u8", Kind: event.Uint, Off: 0, Size: 1},
		{Name: "u24", Kind: event.Uint, Off: 0, Size: 3},
		{Name: "i16", Kind: event.Int, Off: 2, Size: 2},
		{Name: "bits", Kind: event.Int, Off: 2, Size: 2, BitOff: 12, BitSize: 3},
		{Name: "u128", Kind: event.Uint, Off: 8, Size: 16},
		{Name: "i128", Kind: event.Int, Off: 8, Size: 16},
		{Name: "f32", Kind: event.Float, Off: 24, Size: 4},
		{Name: "f64", Kind: event.Float, Off: 32, Size: 8},
		{Name: "bool", Kind: event.Bool, Off: 40, Size: 1},
		{Name: "text", Kind: event.String, Off: 41, Size: 5},
		{Name: "raw", Kind: event.Bytes, Off: 46, Size: 2},
		{Name: "odd", Kind: event.Uint, Off: 46, Size: 9},
		{Name: "array", Kind: event.Int, Off: 48, Size: 4, Count: 2},
		{Name: "texts", Kind: event.String, Off: 41, Size: 4, Count: 2},
		{Name: "uneven", Kind: event.Uint, Off: 48, Size: 5, Count: 2},
		{Name: "rest", Kind: event.Bytes, Rest: true, Off: 64},
		{Name: "node", Kind: event.Struct, Off: 0, Size: 64},
	}}
	for _, kind := range []event.Kind{event.String, event.Uint, event.Int, event.Float, event.Bool} {
		s.Add(event.Field{Name: "said." + kind.String(), Kind: kind, Text: func(dst []byte, _ *event.Batch, _ int) []byte {
			return append(dst, *textOf...)
		}})
	}
	texts, numbers := &event.Texts{}, &event.Numbers{}
	col := s.AddColumn(event.Field{Name: "found.text", Kind: event.String, Table: texts}, event.Field{Name: "found.raw", Kind: event.Bytes, Table: texts})
	num := s.AddColumn(
		event.Field{Name: "found.uint", Kind: event.Uint, Table: numbers}, event.Field{Name: "found.int", Kind: event.Int, Table: numbers},
		event.Field{Name: "found.bool", Kind: event.Bool, Table: numbers}, event.Field{Name: "found.float", Kind: event.Float, Table: numbers})
	s.AddColumn(event.Field{Name: "unknown.text", Kind: event.String, Table: texts})
	s.AddColumn(event.Field{Name: "unknown.uint", Kind: event.Uint, Table: numbers})
	b := &event.Batch{}
	b.Reset(s)
	b.Rows = append(b.Rows, sampleRecord())
	col.Fill(b)[0] = texts.Handle("pod-1")
	num.Fill(b)[0] = numbers.Add(math.MaxUint64)
	return s, b
}

func sampleRecord() []byte {
	rec := make([]byte, 64, 66)
	copy(rec, []byte{200, 1, 0xfe, 0xdf}) // i16 is 0xdffe; its bits 12 to 14 are 101
	for i := 8; i < 24; i++ {
		rec[i] = 0xff
	}
	copy(rec[24:], []byte{0, 0, 0xc0, 0x3f})             // 1.5
	copy(rec[32:], []byte{0, 0, 0, 0, 0, 0, 0x04, 0xc0}) // -2.5
	rec[40] = 7
	copy(rec[41:], "ab\x00cd\xbe\xef")
	copy(rec[48:], []byte{1, 0, 0xff, 0xff})
	return append(rec, 0xca, 0xfe)
}

func TestReaderAppendsWhatPeopleRead(t *testing.T) {
	t.Parallel()
	said := "17"
	s, b := sample(&said)
	for name, want := range map[string]string{
		"u8": "200", "u24": "16646600", "i16": "-8194", "bits": "-3",
		"u128": "340282366920938463463374607431768211455", "i128": "-1",
		"f32": "1.5", "f64": "-2.5", "bool": "true", "text": "ab", "raw": "beef", "odd": "beef0100ffff000000", "array": "[1,-1]",
		"texts": "ab", "uneven": "0100ffff00", "rest": "cafe", "said.string": "17", "said.uint": "17",
		"found.text": "pod-1", "found.raw": "706f642d31", "found.uint": "18446744073709551615", "found.int": "-1", "found.bool": "true",
		"found.float": "NaN", "unknown.text": "", "unknown.uint": "",
	} {
		r, err := s.ReaderOf(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := r.String(b, 0); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
		if got := string(r.Append([]byte("<"), b, 0)); got != "<"+want {
			t.Errorf("%s: Append gave %q", name, got)
		}
	}
}

func TestReaderReadsNumbers(t *testing.T) {
	t.Parallel()
	said := "-9000000000000000000000"
	s, b := sample(&said)
	type number struct {
		u, i  string
		f     float64
		fails bool // there is no number
	}
	for name, want := range map[string]number{
		"u8": {"200", "-56", 200, false}, "i16": {"57342", "-8194", -8194, false}, "bits": {"5", "-3", -3, false},
		"f64": {"", "", -2.5, false}, "bool": {"1", "", 1, false}, "i128": {"", "", -1, false}, "u128": {"", "", 0x1p128, false},
		"said.int":   {"none", "none", -9e21, false},
		"found.uint": {"18446744073709551615", "", 0x1p64, false}, "found.int": {"", "-1", -1, false},
		"unknown.uint": {"none", "none", 0, true},
	} {
		r, err := s.ReaderOf(name)
		if err != nil {
			t.Fatal(err)
		}
		u, uOK := r.Uint(b, 0)
		i, iOK := r.Int(b, 0)
		f, fOK := r.Float(b, 0)
		if want.u != "" && (uOK != (want.u != "none") || uOK && fmt.Sprint(u) != want.u) {
			t.Errorf("%s: Uint %d, %v; want %s", name, u, uOK, want.u)
		}
		if want.i != "" && (iOK != (want.i != "none") || iOK && fmt.Sprint(i) != want.i) {
			t.Errorf("%s: Int %d, %v; want %s", name, i, iOK, want.i)
		}
		if fOK == want.fails || fOK && f != want.f {
			t.Errorf("%s: Float %v, %v; want %v", name, f, fOK, want.f)
		}
	}
}

func TestReaderReadsTextsAsNumbers(t *testing.T) {
	t.Parallel()
	said := ""
	s, b := sample(&said)
	readers := make(map[string]*event.Reader)
	for _, kind := range []string{"uint", "int", "float", "bool"} {
		r, err := s.ReaderOf("said." + kind)
		if err != nil {
			t.Fatal(err)
		}
		readers[kind] = &r
	}
	for _, c := range []struct {
		text              string
		u, i, f, bool     bool // whether there is such a value
		wantU             uint64
		wantI             int64
		wantF             float64
		wantHigh, wantLow uint64
	}{
		{text: ""}, {text: "x"}, {text: "-"}, {text: "1x"}, {text: "1e5", f: true, wantF: 1e5},
		{text: "true", bool: true}, {text: "NaN"}, {text: "-Inf", f: true, wantF: math.Inf(-1)},
		{text: "7", u: true, i: true, f: true, wantU: 7, wantI: 7, wantF: 7, wantLow: 7},
		{text: "-7", i: true, f: true, wantI: -7, wantF: -7, wantHigh: math.MaxUint64, wantLow: ^uint64(6)},
		{text: "18446744073709551615", u: true, f: true, wantU: math.MaxUint64, wantF: 0x1p64, wantLow: math.MaxUint64},
		{text: "18446744073709551616", f: true, wantF: 0x1p64, wantHigh: 1},
		{text: strings.Repeat("9", 60), f: true, wantF: 1e60},
	} {
		said = c.text
		if got, ok := readers["uint"].Uint(b, 0); ok != c.u || ok && got != c.wantU {
			t.Errorf("%q: Uint %d, %v", c.text, got, ok)
		}
		if got, ok := readers["int"].Int(b, 0); ok != c.i || ok && got != c.wantI {
			t.Errorf("%q: Int %d, %v", c.text, got, ok)
		}
		if got, ok := readers["float"].Float(b, 0); ok != c.f || ok && got != c.wantF {
			t.Errorf("%q: Float %v, %v", c.text, got, ok)
		}
		if _, ok := readers["bool"].Uint(b, 0); ok != c.bool {
			t.Errorf("%q: a boolean is there: %v", c.text, ok)
		}
		if high, low, ok := readers["int"].Wide(b, 0); ok && (high != c.wantHigh || low != c.wantLow) {
			t.Errorf("%q: Wide %x %x", c.text, high, low)
		}
	}
}

func TestReaderRefusesWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	said := ""
	s, _ := sample(&said)
	s.Fields = append(s.Fields,
		event.Field{Name: "outside", Kind: event.Uint, Off: 60, Size: 8},
		event.Field{Name: "overflow", Kind: event.Uint, Off: math.MaxUint32, Size: math.MaxUint32},
		event.Field{Name: "length outside", Kind: event.Bytes, Rest: true, Off: 64, LenOff: 62, LenSize: 4})
	for name, want := range map[string]string{
		"node": "no value of its own", "outside": "ends at byte 68 of a record of 64 bytes", "overflow": "ends at byte 8589934590",
		"length outside": "ends at byte 66", "absent": `has no field "absent"`,
	} {
		if _, err := s.ReaderOf(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", name, err, want)
		}
	}
}

// A field of the record that its Text shows in another way can be read as it is, too.
func TestRecordReader(t *testing.T) {
	t.Parallel()
	s := &event.Schema{Size: 1, Fields: []event.Field{{Name: "x", Kind: event.Uint, Size: 1, Text: func(dst []byte, _ *event.Batch, _ int) []byte {
		return append(dst, "shown"...)
	}}}}
	b := &event.Batch{Schema: s, Rows: [][]byte{{5}}}
	shown, err := s.Reader(0)
	if err != nil {
		t.Fatal(err)
	}
	held, err := s.RecordReader(0)
	if err != nil {
		t.Fatal(err)
	}
	if shown.String(b, 0) != "shown" || held.String(b, 0) != "5" {
		t.Errorf("got %q and %q", shown.String(b, 0), held.String(b, 0))
	}
}

func TestReaderAllocatesNothing(t *testing.T) {
	said := "1234"
	s, b := sample(&said)
	buf := make([]byte, 0, 256)
	for i := range s.Fields {
		r, err := s.Reader(i)
		if err != nil || strings.Contains(s.Fields[i].Name, "128") {
			continue
		}
		read := func() {
			r.Uint(b, 0)
			r.Int(b, 0)
			r.Float(b, 0)
			r.Bytes(b, 0)
			buf = r.Append(buf[:0], b, 0)
		}
		if r.Form() == event.FormArray || !r.Form().IsNumber() {
			read = func() { r.Bytes(b, 0); buf = r.Append(buf[:0], b, 0) }
		}
		if n := testing.AllocsPerRun(10, read); n != 0 {
			t.Errorf("%s: %v allocations", s.Fields[i].Name, n)
		}
	}
}

func TestTablesKeepEachTextOnce(t *testing.T) {
	t.Parallel()
	var texts event.Texts
	a, b := texts.Handle("a"), texts.Handle("b")
	if a == 0 || a == b || texts.Handle("a") != a || texts.Handle("") != 0 {
		t.Errorf("handles %d and %d", a, b)
	}
	if string(texts.Bytes(a)) != "a" || string(texts.Bytes(b)) != "b" || texts.Bytes(99) != nil {
		t.Error("the texts are not those that were added")
	}
	var numbers event.Numbers
	if h := numbers.Add(5); numbers.Bits(h) != 5 || numbers.Bits(99) != 0 {
		t.Error("the number is not the one that was added")
	}
}

func ExampleSchema_AddColumn() {
	s := &event.Schema{Name: "open", Size: 1, Fields: []event.Field{{Name: "ns", Kind: event.Uint, Size: 1, Parent: event.NoParent}}}

	// A stage adds a field, and keeps the column.
	pods := &event.Texts{}
	column := s.AddColumn(event.Field{Name: "k8s.podName", Kind: event.String, Parent: event.NoParent, Table: pods})
	known := map[byte]event.Handle{7: pods.Handle("web-1")}

	// It fills the column of each batch.
	b := &event.Batch{Schema: s, Rows: [][]byte{{7}, {9}}}
	handles := column.Fill(b)
	for row, rec := range b.Rows {
		handles[row] = known[rec[0]]
	}

	// A sink reads the field like any other.
	pod, _ := s.ReaderOf("k8s.podName")
	fmt.Printf("%q %q\n", pod.String(b, 0), pod.String(b, 1))
	// Output: "web-1" ""
}
