// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package encode

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gizmo-ebpf/gizmo/encode/pcapng"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/internal/nearest"
)

// DefaultFields returns the indices of the fields that f writes when the user names none.
//
// For a format with AllFields these are all values except private ones (a name that starts with __, at
// any level) and those annotated json.skip. For other formats they are the values that are not hidden,
// and a struct with its own text replaces its members.
//
// For a format with Packets these are the fields of a packet's comment.
//
// The order is for people: first the origin of an event (added fields that
// belong to no field of the record, such as the container's name), then the record, with each added
// field in the place of the field that it explains.
func DefaultFields(s *event.Schema, f Format) []int {
	switch {
	case f.NoFields:
		return []int{}
	case f.Packets:
		return pcapng.DefaultFields(s)
	case f.AllFields:
		return nestedDefault(s)
	}
	return flatDefault(s)
}

// Need returns the fields that the format reads to write the chosen ones; nil means the
// format's default. Bind the stages with the result. It can hold more than the chosen fields: members
// of a struct, or a field that replaces another.
func Need(s *event.Schema, f Format, chosen []int) event.FieldSet {
	var need event.FieldSet
	switch {
	case f.NoFields:
	case f.Packets:
		if chosen == nil {
			chosen = pcapng.DefaultFields(s)
		}
		for _, i := range chosen {
			need.Add(i)
		}
	case f.AllFields:
		for _, i := range treeFields(s, chosen) {
			need.Add(i)
		}
	default:
		for _, i := range flatFields(s, chosen) {
			need.Add(i)
			if j, ok := standIn(s, i); ok {
				need.Add(j)
			}
		}
	}
	return need
}

// nestedDefault returns the fields that nested formats write by default, in the schema's order.
func nestedDefault(s *event.Schema) []int {
	out := []int{}
	for i := range s.Fields {
		f := &s.Fields[i]
		if f.Kind != event.Struct && !event.IsPrivate(f.Name) && !skipsJSON(s, f) {
			out = append(out, i)
		}
	}
	return out
}

// flatDefault returns the fields that are columns by default.
func flatDefault(s *event.Schema) []int {
	out := []int{}
	for i := range s.Fields {
		f := &s.Fields[i]
		if !f.Ann.Columns.Hidden && isColumn(s, i) && !event.IsPrivate(f.Name) && !isStoodFor(s, f) {
			out = append(out, i)
		}
	}
	return sortForPeople(s, out)
}

// isColumn reports whether field i has a value that can fill a column. A struct has one if it has its
// own text or another field replaces it.
func isColumn(s *event.Schema, i int) bool {
	f := &s.Fields[i]
	_, replaced := standIn(s, i)
	return f.HasValue() || replaced
}

// isStoodFor reports whether another field replaces a struct around f. If a struct has its own text, its type has hidden the
// members, and an annotation can show one again.
func isStoodFor(s *event.Schema, f *event.Field) bool {
	return anyAround(s, f, func(i int) bool {
		_, replaced := standIn(s, i)
		return replaced
	})
}

// skipsJSON reports whether f, or a struct around it, is left out of nested formats.
func skipsJSON(s *event.Schema, f *event.Field) bool {
	return f.Ann.SkipJSON || anyAround(s, f, func(i int) bool { return s.Fields[i].Ann.SkipJSON })
}

// anyAround reports whether is holds for one of the structs around f.
func anyAround(s *event.Schema, f *event.Field, is func(i int) bool) bool {
	for i := range s.Fields {
		if s.Fields[i].Kind == event.Struct && event.IsUnder(f.Name, s.Fields[i].Name) && is(i) {
			return true
		}
	}
	return false
}

// standIn returns the field whose value the column of field i shows, if its annotations name
// one and it exists. The name may be a full name or the name of a member of the same struct.
func standIn(s *event.Schema, i int) (int, bool) {
	f := &s.Fields[i]
	name := f.Ann.Columns.Replace
	if name == "" {
		return 0, false
	}
	j, ok := s.Lookup(name)
	if !ok {
		j, ok = s.Lookup(f.Name[:len(f.Name)-len(f.Base())] + name)
	}
	return j, ok && j != i && s.Fields[j].HasValue()
}

// sortForPeople puts the fields into the order that DefaultFields describes.
func sortForPeople(s *event.Schema, fields []int) []int {
	slices.SortStableFunc(fields, func(a, b int) int { return cmp.Compare(place(s, a), place(s, b)) })
	return fields
}

// place returns the index of the record's field beside which field i is read, or -1.
func place(s *event.Schema, i int) int {
	f := &s.Fields[i]
	if !f.Added {
		return i
	}
	prefix := f.Name[:len(f.Name)-len(f.Base())]
	around := -1
	for j := range s.Fields {
		g := &s.Fields[j]
		switch {
		case g.Added:
		case g.Name == f.Name+"_raw", g.Ann.Target != "" && prefix+g.Ann.Target == f.Name && g.Parent == f.Parent:
			return j
		case g.Rest && f.OfRest:
			around = j
		case event.IsUnder(f.Name, g.Name), prefix != "" && event.IsUnder(g.Name, prefix[:len(prefix)-1]):
			around = j
		}
	}
	return around
}

// Select returns the fields that the user chose with spec, which is either a list of names ("a,b":
// these, in this order) or of changes to base ("+a,-b"). A struct with its own text can be
// chosen as such; any other struct means all its members.
func Select(s *event.Schema, spec string, base []int) ([]int, error) {
	choices, relative, err := parseSpec(s, spec)
	if err != nil {
		return nil, err
	}
	out := []int{}
	if relative {
		out = slices.Clone(base)
	}
	for _, c := range choices {
		out = c.apply(s, out)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("fields %q: nothing is left to show", spec)
	}
	return out, nil
}

// choice is one part of the user's list: a name, perhaps with a sign, and the fields that it means.
type choice struct {
	sign   byte // '+', '-' or 0
	name   string
	fields []int
}

// parseSpec parses the user's list and reports whether its names have signs.
func parseSpec(s *event.Schema, spec string) (choices []choice, relative bool, err error) {
	for part := range strings.SplitSeq(spec, ",") {
		c := choice{name: strings.TrimSpace(part)}
		if c.name != "" && (c.name[0] == '+' || c.name[0] == '-') {
			c.sign, c.name = c.name[0], c.name[1:]
		}
		if len(choices) > 0 && (c.sign != 0) != relative {
			return nil, false, fmt.Errorf("fields %q: use either names alone, or + or - before each of them", spec)
		}
		relative = c.sign != 0
		if c.fields, err = named(s, c.name); err != nil {
			return nil, false, err
		}
		choices = append(choices, c)
	}
	return choices, relative, nil
}

// apply returns fields with the choice added or removed.
func (c *choice) apply(s *event.Schema, fields []int) []int {
	if c.sign == '-' {
		return slices.DeleteFunc(fields, func(i int) bool {
			return s.Fields[i].Name == c.name || event.IsUnder(s.Fields[i].Name, c.name)
		})
	}
	for _, i := range c.fields {
		if !slices.Contains(fields, i) {
			fields = append(fields, i)
		}
	}
	return fields
}

// named returns the fields that a name given by the user stands for.
func named(s *event.Schema, name string) ([]int, error) {
	if name == "" {
		return nil, errors.New("empty name in the list of fields; write names with commas between them")
	}
	i, found := s.Lookup(name)
	if found && !event.IsPrivate(name) && isColumn(s, i) {
		return []int{i}, nil
	}
	members := membersOf(s, name)
	if len(members) == 0 {
		return nil, unknownField(s, name)
	}
	return members, nil
}

// membersOf returns the values under the given name. A struct with a text of its own counts as one.
func membersOf(s *event.Schema, name string) []int {
	var out []int
	for i := range s.Fields {
		f := &s.Fields[i]
		stoodFor := func(j int) bool { return event.IsUnder(s.Fields[j].Name, name) && isColumn(s, j) }
		if event.IsUnder(f.Name, name) && !event.IsPrivate(f.Name) && isColumn(s, i) && !anyAround(s, f, stoodFor) {
			out = append(out, i)
		}
	}
	return sortForPeople(s, out)
}

func unknownField(s *event.Schema, name string) error {
	var names []string
	for i := range s.Fields {
		if !event.IsPrivate(s.Fields[i].Name) {
			names = append(names, s.Fields[i].Name)
		}
	}
	return fmt.Errorf("data source %q has no field %q%s", s.Name, name, nearest.Hint(name, names))
}
