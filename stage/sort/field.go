// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package sort

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/internal/nearest"
)

// reads returns the fields that sorting the data source reads.
func (o *Options) reads(s *event.Schema) (event.FieldSet, error) {
	var set event.FieldSet
	for _, key := range o.Keys[s.ID()] {
		i, err := find(s, key.Field)
		if err != nil {
			return set, err
		}
		set.Add(i)
	}
	return set, nil
}

// find returns the field of that name if its values have an order.
func find(s *event.Schema, name string) (int, error) {
	i, ok := s.Lookup(name)
	switch {
	case !ok || event.IsPrivate(name):
		return 0, fmt.Errorf("there is no field %q to sort by%s", name, nearest.Hint(name, names(s, "")))
	case !s.Fields[i].HasValue():
		return 0, fmt.Errorf("field %q is a struct; sort by its members%s", name, listMembers(s, name))
	}
	_, err := s.RecordReader(i)
	return i, err
}

// names returns the fields to sort by whose names begin with prefix.
func names(s *event.Schema, prefix string) []string {
	var out []string
	for i := range s.Fields {
		f := &s.Fields[i]
		if f.HasValue() && !event.IsPrivate(f.Name) && strings.HasPrefix(f.Name, prefix) && !slices.Contains(out, f.Name) {
			out = append(out, f.Name)
		}
	}
	return out
}

// listMembers returns the end of a message, ": a.x, a.y, …".
func listMembers(s *event.Schema, name string) string {
	const enough = 8
	members := names(s, name+".")
	switch {
	case len(members) == 0:
		return ""
	case len(members) > enough:
		members = append(members[:enough], "…")
	}
	return ": " + strings.Join(members, ", ")
}
