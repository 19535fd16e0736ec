// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package encode_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/gizmo-ebpf/gizmo/encode"
	"github.com/gizmo-ebpf/gizmo/event"
)

// valid checks, for each format of the table, that output has the promised form: a document
// of the given number of events, or one array of them. A format without an entry fails the suite.
var valid = map[string]func(out []byte, single bool, rows int) error{
	"json":       validJSON,
	"jsonpretty": validJSON,
	"yaml":       validYAML,
	"columns":    validColumns,
	"none":       validNone,
}

func validJSON(out []byte, single bool, rows int) error {
	dec := json.NewDecoder(bytes.NewReader(out))
	dec.UseNumber()
	return validDocuments(out, single, rows, func() (any, error) {
		var v any
		return v, dec.Decode(&v)
	})
}

func validYAML(out []byte, single bool, rows int) error {
	dec := yaml.NewDecoder(bytes.NewReader(out))
	return validDocuments(out, single, rows, func() (any, error) {
		var n yaml.Node
		err := dec.Decode(&n)
		if err != nil || len(n.Content) == 0 {
			return nil, err
		}
		if n.Content[0].Kind == yaml.SequenceNode {
			return make([]any, len(n.Content[0].Content)), nil
		}
		return nil, nil
	})
}

func validDocuments(out []byte, single bool, rows int, next func() (any, error)) error {
	if len(out) > 0 && out[len(out)-1] != '\n' {
		return errors.New("the last line does not end")
	}
	documents := 0
	for {
		v, err := next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("document %d: %w", documents, err)
		}
		if list, ok := v.([]any); !single && (!ok || len(list) != rows) {
			return fmt.Errorf("not an array of %d events", rows)
		}
		documents++
	}
	want := 1
	if single {
		want = rows
	}
	if documents != want {
		return fmt.Errorf("%d documents, want %d", documents, want)
	}
	return nil
}

func validColumns(out []byte, _ bool, rows int) error {
	if n := bytes.Count(out, []byte("\n")); n != rows {
		return fmt.Errorf("%d lines for %d events", n, rows)
	}
	if bytes.Contains(out, []byte(" \n")) {
		return errors.New("a blank at the end of a line")
	}
	return nil
}

func validNone(out []byte, _ bool, _ int) error {
	if len(out) > 0 {
		return errors.New("output")
	}
	return nil
}

// harmless holds for the output of every format: valid UTF-8 without control characters, such as change
// the direction of text, or such as leave no mark.
func harmless(out []byte) error {
	if !utf8.Valid(out) {
		return errors.New("invalid UTF-8")
	}
	for _, r := range string(out) {
		if r != '\n' && unicode.In(r, unicode.Cc, unicode.Bidi_Control, unicode.Zl, unicode.Zp, unicode.Variation_Selector,
			unicode.Other_Default_Ignorable_Code_Point, unicode.Noncharacter_Code_Point) ||
			unicode.Is(unicode.Cf, r) && !unicode.Is(unicode.Prepended_Concatenation_Mark, r) {
			return fmt.Errorf("raw %U", r)
		}
	}
	return nil
}

// check runs all that can be said of any output.
func check(format string, out []byte, single bool, rows int) error {
	ok, known := valid[format]
	if !known {
		return errors.New("the suite does not know what valid output of this format is")
	}
	return errors.Join(ok(out, single, rows), harmless(out))
}

// bothShapes runs the test for single events and for arrays, in every format.
func bothShapes(t *testing.T, test func(t *testing.T, f encode.Format, single bool)) {
	for _, f := range encode.Formats() {
		for _, single := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/single=%v", f.Name, single), func(t *testing.T) {
				t.Parallel()
				test(t, f, single)
			})
		}
	}
}

func bind(t testing.TB, f encode.Format, s *event.Schema, o encode.Options) encode.Encoder {
	t.Helper()
	enc, err := f.Bind(s, o)
	if err != nil {
		t.Fatal(err)
	}
	return enc
}

func TestAnyBytesGiveValidOutput(t *testing.T) {
	t.Parallel()
	bothShapes(t, func(t *testing.T, f encode.Format, single bool) {
		r := rand.New(rand.NewPCG(1, 2))
		for _, text := range hostileTexts {
			bytes := []byte(text)
			s := everything(single, &bytes)
			for _, width := range []int{0, 200} {
				enc := bind(t, f, s, encode.Options{Width: width})
				for _, rows := range []int{0, 1, 3} {
					out := enc.Append(nil, randomBatch(s, r, rows))
					if err := check(f.Name, out, single, rows); err != nil {
						t.Fatalf("text %q, %d rows: %v\n%q", text, rows, err, out)
					}
				}
			}
		}
	})
}

func TestNoAllocations(t *testing.T) { // not parallel: others' allocations would count
	for _, f := range encode.Formats() {
		for _, single := range []bool{true, false} {
			for _, text := range append([]string{".CFG", "NULL"}, hostileTexts...) {
				bytes := []byte(text)
				s := everything(single, &bytes)
				enc := bind(t, f, s, encode.Options{Width: 500})
				batch := randomBatch(s, rand.New(rand.NewPCG(3, 4)), 8)
				buf := enc.Append(nil, batch)
				if n := testing.AllocsPerRun(5, func() { buf = enc.Append(buf[:0], batch) }); n != 0 {
					t.Errorf("%s, single %v, text %q: %v allocations", f.Name, single, text, n)
				}
			}
		}
	}
}

func TestAppendKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	bothShapes(t, func(t *testing.T, f encode.Format, single bool) {
		text := []byte("text\x1b")
		s := everything(single, &text)
		batch := randomBatch(s, rand.New(rand.NewPCG(5, 6)), 3)
		enc := bind(t, f, s, encode.Options{})
		want := append(enc.Head([]byte("before ")), bind(t, f, s, encode.Options{}).Append(nil, batch)...)
		for _, room := range []int{0, 1, 10, 100, 1000, 100000} {
			dst := append(make([]byte, 0, 7+room), "before "...)
			if got := enc.Append(enc.Head(dst), batch); !bytes.Equal(got, want) {
				t.Errorf("with room for %d bytes:\n%s\nwant\n%s", room, got, want)
			}
		}
	})
}

func TestRowsAreNotWrittenTo(t *testing.T) {
	t.Parallel()
	bothShapes(t, func(t *testing.T, f encode.Format, single bool) {
		text := []byte("text\x1b")
		s := everything(single, &text)
		batch := randomBatch(s, rand.New(rand.NewPCG(7, 8)), 3)
		before := randomBatch(s, rand.New(rand.NewPCG(7, 8)), 3)
		bind(t, f, s, encode.Options{}).Append(nil, batch)
		for i := range batch.Rows {
			if !bytes.Equal(batch.Rows[i], before.Rows[i]) {
				t.Errorf("row %d changed", i)
			}
		}
	})
}

func TestEmptyBatch(t *testing.T) {
	t.Parallel()
	arrays := map[string]string{"json": "[]\n", "jsonpretty": "[]\n", "yaml": "---\n[]\n"}
	bothShapes(t, func(t *testing.T, f encode.Format, single bool) {
		text := []byte("text")
		s := everything(single, &text)
		got := bind(t, f, s, encode.Options{}).Append(nil, &event.Batch{Schema: s})
		want := ""
		if !single {
			want = arrays[f.Name]
		}
		if string(got) != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestNoFields(t *testing.T) {
	t.Parallel()
	objects := map[string][2]string{
		"json": {"{}\n{}\n", "[{},{}]\n"}, "jsonpretty": {"{}\n{}\n", "[\n  {},\n  {}\n]\n"},
		"yaml": {"---\n{}\n---\n{}\n", "---\n- {}\n- {}\n"},
	}
	bothShapes(t, func(t *testing.T, f encode.Format, single bool) {
		s := &event.Schema{Single: single}
		enc := bind(t, f, s, encode.Options{})
		got := enc.Append(enc.Head(nil), &event.Batch{Schema: s, Rows: [][]byte{{}, {}}})
		want := objects[f.Name][1]
		if single {
			want = objects[f.Name][0]
		}
		if string(got) != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestBindRejectsFieldsBeyondTheRecord(t *testing.T) {
	t.Parallel()
	s := &event.Schema{Size: 8, Fields: []event.Field{{Name: "f", Kind: event.Uint, Off: 6, Size: 4}}}
	for _, f := range encode.Formats() {
		if _, err := f.Bind(s, encode.Options{}); (err == nil) != (f.Name == "none") {
			t.Errorf("%s: error %v", f.Name, err)
		}
	}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	for _, f := range encode.Formats() {
		if got, err := encode.Lookup(f.Name); err != nil || got.Name != f.Name || got.Doc == "" {
			t.Errorf("%s: %+v, %v", f.Name, got, err)
		}
	}
	want := `unknown output format "jsn" (known: columns, json, jsonpretty, yaml, none, pcap-ng, pprof, folded, flamegraph, networkpolicy, histogram, metrics-json); did you mean "json"?`
	if _, err := encode.Lookup("jsn"); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
