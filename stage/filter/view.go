// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package filter

import (
	"errors"
	"fmt"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/internal/nearest"
)

// view is a data source as the filter sees it: the fields that exist when the filter is extended.
// Stages after it add their fields later.
type view struct {
	schema *event.Schema
	fields int
}

func viewOf(s *event.Schema) view { return view{s, len(s.Fields)} }

// find returns the field of that name, if it is not private.
func (v view) find(name string) (int, bool) {
	there := event.Schema{Fields: v.schema.Fields[:v.fields]}
	i, ok := there.Lookup(name)
	return i, ok && !event.IsPrivate(name)
}

// isAround reports whether fields have names that begin with name and a dot. Such a name need
// not be the name of a field: stages add fields without a struct around them.
func (v view) isAround(name string) bool { return v.member(name) != "" }

// member returns the name of a value within name, or "".
func (v view) member(name string) string {
	for i := range v.fields {
		f := &v.schema.Fields[i]
		if event.IsUnder(f.Name, name) && !event.IsPrivate(f.Name) && f.HasValue() {
			return f.Name
		}
	}
	return ""
}

// addedLater reports whether a stage after the filter adds the field.
func (v view) addedLater(name string) bool {
	i, ok := viewOf(v.schema).find(name)
	return ok && i >= v.fields
}

// errUnknown is wrapped by errors that say that a field does not exist.
var errUnknown = errors.New("unknown field")

// unknownField is the error for a name that no field has.
type unknownField struct{ message string }

func (e *unknownField) Error() string { return e.message }
func (e *unknownField) Unwrap() error { return errUnknown }

// newUnknownField returns the error for a name that no view has.
func newUnknownField(name string, views []view) error {
	var names []string
	for _, v := range views {
		if v.addedLater(name) {
			return &unknownField{fmt.Sprintf("field %q is filled after the filter, so the filter cannot read it", name)}
		}
		for _, f := range v.schema.Fields[:v.fields] {
			if !event.IsPrivate(f.Name) {
				names = append(names, f.Name)
			}
		}
	}
	where := "no data source has a field"
	if len(views) == 1 {
		where = fmt.Sprintf("data source %q has no field", views[0].schema.Name)
	}
	return &unknownField{fmt.Sprintf("%s %q%s", where, name, nearest.Hint(name, names))}
}
