// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package semtype

import (
	"strings"

	"github.com/gizmo-ebpf/gizmo/clock"
	"github.com/gizmo-ebpf/gizmo/event"
)

// A renderer prepares the text of one field. It gets a copy of the field, because the schema's list
// of fields may move when it grows.
type renderer func(f event.Field, env *Env) event.TextFunc

// shownAs makes the Extend of types that show a number as text, in a field of its own.
func shownAs(render renderer) func(*event.Schema, int, *Env) {
	return func(s *event.Schema, i int, env *Env) {
		f := s.Fields[i]
		name, ok := target(&f)
		switch {
		case !isNumber(&f):
			env.debug(&f, "its type is not a single integer")
		case !ok:
			env.debug(&f, "its name does not end in _raw, and no annotation names the field to add")
		default:
			if _, ok := addText(s, i, env, name, render(f, env)); ok {
				s.Fields[i].Ann.Columns.Hidden = true // the added field says the same to people
			}
		}
	}
}

// addText adds a field called name beside field i. Two fields of one name would make the output
// ambiguous, so it adds none if the record has a field of that name.
func addText(s *event.Schema, i int, env *Env, name string, text event.TextFunc) (int, bool) {
	f := &s.Fields[i]
	if _, taken := s.Lookup(name); taken {
		env.debug(f, "there is a field "+name+" already")
		return 0, false
	}
	return s.Add(event.Field{
		Name:   name,
		Kind:   event.String,
		Parent: f.Parent,
		Text:   text,
		Reads:  event.Span{Off: f.Off, Size: f.Size},
		Ann:    event.Annotations{Description: f.Ann.Description},
	}), true
}

// isNumber reports whether f is a single integer that [event.Field.Uint] reads in full.
func isNumber(f *event.Field) bool {
	return (f.Kind == event.Uint || f.Kind == event.Int) && f.Count == 0 && f.Size >= 1 && f.Size <= 8
}

// member returns the index of the member called base of the struct at index parent.
func member(s *event.Schema, parent int, base string) (int, bool) {
	for i := range s.Fields {
		if f := &s.Fields[i]; f.Parent == parent && f.Base() == base {
			return i, true
		}
	}
	return 0, false
}

// eachWithin calls do for everything in the struct at index i, at any depth. Members come after
// their struct.
func eachWithin(s *event.Schema, i int, do func(*event.Field)) {
	for j := i + 1; j < len(s.Fields); j++ {
		if f := &s.Fields[j]; f.Parent == i {
			do(f)
			eachWithin(s, j, do)
		}
	}
}

// hideMembers hides everything in the struct at index i in columns.
func hideMembers(s *event.Schema, i int) {
	eachWithin(s, i, func(f *event.Field) { f.Ann.Columns.Hidden = true })
}

// shortHeader gives field i the header h, unless another column is headed by it already: two
// columns called PID would say less than PARENT.PID and CHILD.PID.
func shortHeader(s *event.Schema, i int, h string) {
	for j := range s.Fields {
		f := &s.Fields[j]
		if j != i && (f.Ann.Columns.Header == h || strings.EqualFold(f.Name, h)) {
			return
		}
	}
	s.Fields[i].Ann.Columns.Header = h
}

func (e *Env) debug(f *event.Field, why string) {
	if e.Log != nil {
		e.Log.Debug("field gains nothing from its type", "field", f.Name, "because", why)
	}
}

// wallClock returns the clock of the environment, also if that has none.
func (e *Env) wallClock() *clock.History {
	if e.Clock == nil {
		return clock.New(0)
	}
	return e.Clock
}
