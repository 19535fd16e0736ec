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

// Fields returns the indices of the fields that sorting the data source reads. They are to be among
// those that stages are bound with. An error says what is wrong with the keys.
func (o *Options) Fields(s *event.Schema) ([]int, error) {
	var out []int
	for _, key := range o.Keys[s.Name] {
		i, err := find(s, key.Field)
		if err != nil {
			return nil, fmt.Errorf("data source %q: %w", s.Name, err)
		}
		out = append(out, i)
	}
	return out, nil
}

// find returns the field of that name if there is an order of its values. Of several it is the last:
// the one whose value the output shows.
func find(s *event.Schema, name string) (int, error) {
	for i := len(s.Fields) - 1; i >= 0; i-- {
		f := &s.Fields[i]
		if f.Name != name || isPrivate(name) {
			continue
		}
		if !hasValue(f) {
			return 0, fmt.Errorf("field %q is a struct; sort by its members%s", name, listMembers(s, name))
		}
		return i, checkPlace(s, f)
	}
	return 0, fmt.Errorf("there is no field %q to sort by%s", name, nearest.Hint(name, names(s, "")))
}

// hasValue reports whether f is more than a node of the field tree.
func hasValue(f *event.Field) bool { return f.Kind != event.Struct || f.Text != nil }

func isPrivate(name string) bool {
	return strings.HasPrefix(name, "__") || strings.Contains(name, ".__")
}

// names returns the fields to sort by whose names begin with prefix.
func names(s *event.Schema, prefix string) []string {
	var out []string
	for i := range s.Fields {
		f := &s.Fields[i]
		if hasValue(f) && !isPrivate(f.Name) && strings.HasPrefix(f.Name, prefix) && !slices.Contains(out, f.Name) {
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

// checkPlace returns an error if f, or the length of trailing data, lies outside the record. Rows are
// read without looking from then on.
func checkPlace(s *event.Schema, f *event.Field) error {
	if f.Added || f.Kind == event.Struct {
		return nil
	}
	end := max(uint64(f.Off)+uint64(f.Size), uint64(f.LenOff)+uint64(f.LenSize))
	if end > uint64(s.Size) {
		return fmt.Errorf("field %q ends at byte %d of a record of %d bytes", f.Name, end, s.Size)
	}
	return nil
}
