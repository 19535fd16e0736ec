// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package encode_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/encode"
	"github.com/gizmo-ebpf/gizmo/event"
)

// Trailing data that is text is written as text, also if it is long and text is made in pieces.
func TestTrailingText(t *testing.T) {
	t.Parallel()
	s := &event.Schema{Name: "x", Single: true, Size: 1, Fields: []event.Field{
		{Name: "id", Kind: event.Uint, Size: 1, Parent: event.NoParent},
		{Name: "text", Kind: event.String, Rest: true, Off: 1, Parent: event.NoParent},
	}}
	long := strings.Repeat(`"ä" `, 100_000)
	for _, text := range []string{"", `{"a":"b"}`, "a\x00b", long} {
		b := &event.Batch{Schema: s, Rows: [][]byte{append([]byte{7}, text...)}}
		for name, want := range map[string]string{"json": text, "jsonpretty": text} {
			f, err := encode.Lookup(name)
			if err != nil {
				t.Fatal(err)
			}
			var pieces []byte
			spill := func(p []byte) []byte {
				pieces = append(pieces, p...)
				return p[:0]
			}
			whole := string(bind(t, f, s, encode.Options{}).Append(nil, b))
			rest := bind(t, f, s, encode.Options{Spill: spill}).Append(nil, b)
			if got := string(pieces) + string(rest); got != whole {
				t.Errorf("%s of %d bytes: the pieces differ from the whole", name, len(text))
			}
			var got struct{ Text string }
			if err := json.Unmarshal([]byte(whole), &got); err != nil || got.Text != want {
				t.Errorf("%s: got %.40q, %v; want %.40q", name, got.Text, err, want)
			}
		}
	}
	f, err := encode.Lookup("yaml")
	if err != nil {
		t.Fatal(err)
	}
	b := &event.Batch{Schema: s, Rows: [][]byte{[]byte("\x07{\"a\":1}")}}
	if got := string(bind(t, f, s, encode.Options{}).Append(nil, b)); !strings.Contains(got, `"{\"a\":1}"`) {
		t.Errorf("yaml: %q", got)
	}
}

// Fields whose text is read from the trailing data stand where that would: after the record's own.
func TestFieldsOfTrailingDataFollowTheRecord(t *testing.T) {
	t.Parallel()
	text := textOf(&[]byte{'x'})
	s := &event.Schema{Name: "x", Single: true, Size: 4, Fields: []event.Field{
		{Name: "qr_raw", Kind: event.Uint, Size: 1, Parent: event.NoParent, Ann: event.Annotations{Columns: event.ColumnStyle{Hidden: true}}},
		{Name: "id", Kind: event.Uint, Off: 1, Size: 1, Parent: event.NoParent},
		{Name: "data", Rest: true, Off: 4, Parent: event.NoParent, Ann: event.Annotations{Columns: event.ColumnStyle{Hidden: true}}},
	}}
	for _, name := range []string{"qr", "name"} {
		s.Add(event.Field{Name: name, Kind: event.String, Parent: event.NoParent, Text: text, OfRest: true})
	}
	s.Add(event.Field{Name: "container", Kind: event.String, Parent: event.NoParent, Text: text})
	const want = "container qr id name"
	if got := names(s, encode.DefaultFields(s, lookup(t, "columns"))); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
