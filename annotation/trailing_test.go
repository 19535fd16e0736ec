// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package annotation

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
)

// withTrailing returns a schema with an integer, a member of it, and then the given fields.
func withTrailing(fields ...event.Field) *event.Schema {
	s := &event.Schema{Name: "packets", Single: true, Size: 12}
	s.Fields = append([]event.Field{
		{Name: "len", Kind: event.Uint, Off: 8, Size: 2, Parent: event.NoParent},
		{Name: "bits", Kind: event.Uint, Off: 10, Size: 2, BitSize: 3, Parent: event.NoParent},
		{Name: "many", Kind: event.Uint, Off: 0, Size: 8, Count: 4, Parent: event.NoParent},
	}, fields...)
	return s
}

func TestAddTrailing(t *testing.T) {
	t.Parallel()
	rest := event.Field{Name: "data", Kind: event.Bytes, Rest: true, Off: 12, Parent: event.NoParent}
	limited := rest
	limited.LenOff, limited.LenSize = 8, 2
	renamed, other := limited, event.Field{Name: "host", Kind: event.String, Parent: event.NoParent, Added: true}
	renamed.Name = "payload"
	for _, c := range []struct {
		s         *event.Schema
		name, len string
		want      []event.Field // after the first three
	}{
		{withTrailing(), "", "", nil},
		{withTrailing(), "", "len", nil},
		{withTrailing(), "data", "", []event.Field{rest}},
		{withTrailing(), "data", "len", []event.Field{limited}},
		{withTrailing(rest), "data", "len", []event.Field{limited}},
		{withTrailing(limited), "", "", []event.Field{limited}},
		// As a recording has it: the field keeps its place.
		{withTrailing(rest, other), "payload", "len", []event.Field{renamed, other}},
	} {
		before := c.s.Fields[:3]
		if err := (&Source{RestName: c.name, RestLen: c.len}).AddTrailing(c.s); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
		if want := append(before[:3:3], c.want...); !reflect.DeepEqual(c.s.Fields, want) {
			t.Errorf("%s, %s: got  %+v\nwant %+v", c.name, c.len, c.s.Fields, want)
		}
	}
}

// The meaning of trailing data comes from the annotations, for a schema of a recording, too.
func TestAddTrailingWithMeaning(t *testing.T) {
	t.Parallel()
	for _, s := range []*event.Schema{
		withTrailing(),
		withTrailing(event.Field{Name: "data", Kind: event.Bytes, Rest: true, Off: 12, Parent: event.NoParent}),
	} {
		source := &Source{RestName: "data", RestLen: "len", RestContent: "dns", RestTexts: []string{"cwd", "exepath"}}
		if err := source.AddTrailing(s); err != nil {
			t.Fatal(err)
		}
		if f := s.Fields[3]; f.Content != "dns" || !reflect.DeepEqual(f.Texts, source.RestTexts) || f.LenSize != 2 {
			t.Errorf("got %+v", f)
		}
	}
}

func TestAddTrailingRefusesTexts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		len, text, want string
	}{
		{"", "cwd", "ebpf.rest.texts: the texts follow the bytes that ebpf.rest.len counts, which is not set"},
		{"len", "a b", `ebpf.rest.texts: "a b" is not a field's name`},
	} {
		source := &Source{RestName: "data", RestLen: c.len, RestTexts: []string{c.text}}
		if err := source.AddTrailing(withTrailing()); err == nil || err.Error() != c.want {
			t.Errorf("%+v: got %v", c, err)
		}
	}
}

func TestAddTrailingRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, len, want string }{
		{"len", "", `ebpf.rest.name: there is a field "len" already`},
		{"data", "lne", `ebpf.rest.len: there is no integer field "lne"`},
		{"data", "bits", `no integer field "bits"`},
		{"data", "many", `no integer field "many"`},
		{"data", "data", `no integer field "data"`},
	} {
		s := withTrailing()
		err := (&Source{RestName: c.name, RestLen: c.len}).AddTrailing(s)
		if err == nil || !strings.Contains(err.Error(), c.want) || len(s.Fields) != 3 {
			t.Errorf("%+v: got %v and %d fields", c, err, len(s.Fields))
		}
	}
}

// It counts allocations, so it does not run in parallel.
func TestAddTrailingText(t *testing.T) {
	source := &Source{RestName: "data", RestLen: "len", RestText: "text"}
	s := withTrailing()
	if err := errors.Join(source.AddTrailing(s), source.AddTrailingText(s)); err != nil {
		t.Fatal(err)
	}
	r, err := s.ReaderOf("text")
	if err != nil {
		t.Fatal(err)
	}
	if f := r.Field(); f.Kind != event.String || !f.Added || f.Rest {
		t.Errorf("the field is %+v", f)
	}
	// All bytes that are valid, zeros among them, and not the padding.
	row := append(make([]byte, s.Size), "a\x00\xffb\x00\x00"...)
	row[8] = 4
	b := &event.Batch{Rows: [][]byte{row}}
	if got, want := r.String(b, 0), "a\x00\xffb"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	buf := make([]byte, 0, 16)
	if n := testing.AllocsPerRun(100, func() { buf = r.Append(buf[:0], b, 0) }); n != 0 {
		t.Errorf("%v allocations for a row", n)
	}
}

func TestAddTrailingTextRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		source Source
		want   string
	}{
		{Source{RestText: "text"}, "name it with ebpf.rest.name"},
		{Source{RestName: "data", RestText: "len"}, `ebpf.rest.text: there is a field "len" already`},
		{Source{RestName: "data", RestText: "data"}, `ebpf.rest.text: there is a field "data" already`},
	} {
		s := withTrailing()
		if err := c.source.AddTrailing(s); err != nil {
			t.Fatal(err)
		}
		before := len(s.Fields)
		err := c.source.AddTrailingText(s)
		if err == nil || !strings.Contains(err.Error(), c.want) || len(s.Fields) != before {
			t.Errorf("%+v: got %v and %d fields", c.source, err, len(s.Fields))
		}
	}
}
