// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package sort

import (
	"fmt"
	"math"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
)

func TestOrderOfTexts(t *testing.T) {
	t.Parallel()
	// Those of one line are equal, and each line comes after the one before it.
	ints := [][]string{
		{"", "-", "x", "1x", "+1", " 1", "1.5", "18446744073709551616x"},
		{"-18446744073709551615", "-99999999999999999999"},
		{"-9223372036854775808"}, {"-9223372036854775807"}, {"-10"}, {"-9"}, {"-1"},
		{"0", "-0", "00"}, {"1", "01"}, {"9"}, {"10"}, {"9223372036854775807"}, {"9223372036854775808"},
		{"18446744073709551614"}, {"18446744073709551615", "18446744073709551616", "99999999999999999999"},
	}
	checkOrder(t, "integer", ints, orderOfText(t, event.Int))
	floats := [][]string{
		{"", "-", "x", "NaN", "null", "1e", "--1", "."},
		{"-Inf", "-1e999"}, {"-1e300"}, {"-10"}, {"-9.5"}, {"-1e-300"},
		{"0", "-0", "0.0"}, {"5e-324"}, {"1", "1.0", "1e0"}, {"9"}, {"10"}, {"1e300"}, {"Inf", "+Inf", "1e999"},
	}
	checkOrder(t, "float", floats, orderOfText(t, event.Float))
}

// orderOfText returns a function that makes a key of a text, for a field that writes it.
func orderOfText(t *testing.T, kind event.Kind) func([]byte) (uint64, uint64) {
	t.Helper()
	var text []byte
	s := &event.Schema{}
	i := s.Add(event.Field{Name: "x", Kind: kind, Text: func(dst []byte, _ *event.Batch, _ int) []byte { return append(dst, text...) }})
	k, err := newKey(s, i, false)
	if err != nil {
		t.Fatal(err)
	}
	b := &event.Batch{Schema: s, Rows: [][]byte{{}}}
	return func(p []byte) (uint64, uint64) {
		text = p
		return k.found(b, 0)
	}
}

func checkOrder(t *testing.T, what string, lines [][]string, order func([]byte) (uint64, uint64)) {
	t.Helper()
	var last string
	var lastClass, lastValue uint64
	for i, line := range lines {
		class, value := order([]byte(line[0]))
		if i > 0 && (class < lastClass || class == lastClass && value <= lastValue) {
			t.Errorf("%s %q does not come after %q", what, line[0], last)
		}
		for _, text := range line[1:] {
			if c, v := order([]byte(text)); c != class || v != value {
				t.Errorf("%s %q differs from %q: %d, %x and %d, %x", what, text, line[0], c, v, class, value)
			}
		}
		last, lastClass, lastValue = line[0], class, value
	}
}

func TestOrderOfTextsAllocatesNothing(t *testing.T) {
	texts := [][]byte{[]byte("-12.5e3"), []byte("18446744073709551615"), []byte("NaN"), nil}
	integer, float := orderOfText(t, event.Int), orderOfText(t, event.Float)
	if n := testing.AllocsPerRun(10, func() {
		for _, text := range texts {
			integer(text)
			float(text)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestOrderOfFloats(t *testing.T) {
	t.Parallel()
	var before uint64
	for i, v := range []float64{math.NaN(), math.Inf(-1), -math.MaxFloat64, -1, -math.SmallestNonzeroFloat64,
		0, math.SmallestNonzeroFloat64, 1, math.MaxFloat64, math.Inf(1)} {
		o := orderFloat(v)
		if i > 0 && o <= before {
			t.Errorf("%v: %x is not above %x", v, o, before)
		}
		before = o
	}
	if orderFloat(math.Copysign(0, -1)) != orderFloat(0) {
		t.Error("the zeros differ")
	}
}

func TestPrefix(t *testing.T) {
	t.Parallel()
	texts := []string{"", "\x00", "a", "a\x00", "aa", "aaaaaaaa", "aaaaaaaaz", "aaaaaaab", "b", "\xff"}
	for i := range texts[1:] {
		if prefix([]byte(texts[i])) > prefix([]byte(texts[i+1])) {
			t.Errorf("%q above %q", texts[i], texts[i+1])
		}
	}
	if got, want := fmt.Sprintf("%x", prefix([]byte("abc"))), "6162630000000000"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestArraySorterKeepsNoRows(t *testing.T) {
	t.Parallel()
	schema := &event.Schema{Name: "ds", Size: 1, Fields: []event.Field{{Name: "n", Kind: event.Uint, Size: 1}}}
	ks, err := bindKeys(schema, []Key{{Field: "n"}})
	if err != nil {
		t.Fatal(err)
	}
	s := arraySorter{keys: ks, limit: 1000, scratch: new(scratch)}
	if err := s.sort(&event.Batch{Schema: schema, Rows: [][]byte{{2}, {1}}}); err != nil {
		t.Fatal(err)
	}
	for _, row := range s.rows[:cap(s.rows)] {
		if row != nil {
			t.Error("a row was kept: an array can be large")
		}
	}
}

func TestEndlessTexts(t *testing.T) {
	t.Parallel()
	var tab table
	tab.texts = make([]byte, maxLength+10)
	tab.pushText(0, 0)
	start := len(tab.texts)
	tab.texts = append(tab.texts, "short"...)
	tab.pushText(start, 0)
	if got := len(tab.text(tab.words[1])); got != maxLength {
		t.Errorf("%d bytes of the text count, want %d", got, maxLength)
	}
	if got := string(tab.text(tab.words[3])); got != "short" {
		t.Errorf("got %q", got)
	}
}
