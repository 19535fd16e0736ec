// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package annotation

import (
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
