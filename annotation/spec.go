// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package annotation

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gizmo-ebpf/gizmo/event"
)

// Set holds annotations as they were written, by key.
type Set map[string]string

// Spec holds the annotations of a data source and of its fields as they were written. A nil Spec
// has none.
type Spec struct {
	Source Set            `json:"source,omitempty"`
	Fields map[string]Set `json:"fields,omitempty"`
}

// Annotate gives f its annotations: first those of the named template (an empty name means none),
// then those that the spec has for it, the template among them before the others. Annotations that
// neither mentions do not change, so annotating twice is the same as annotating once. On an error
// f is unchanged.
func (s *Spec) Annotate(f *event.Field, template string) error {
	a := f.Ann
	if template != "" {
		if err := applyTemplate(&a, template); err != nil {
			return fmt.Errorf("field %q: %w", f.Name, err)
		}
	}
	if err := s.field(f.Name).annotate(&a); err != nil {
		return fmt.Errorf("field %q: %w", f.Name, err)
	}
	f.Ann = a
	return nil
}

func (s *Spec) field(name string) Set {
	if s == nil {
		return nil
	}
	return s.Fields[name]
}

// ParseSource returns the annotations of the data source itself in typed form.
func (s *Spec) ParseSource() (Source, error) {
	if s == nil {
		return Source{}, nil
	}
	return s.Source.ParseSource()
}

// Check reports the annotations of fields that schema does not have.
func (s *Spec) Check(schema *event.Schema) error {
	if s == nil {
		return nil
	}
	names := make([]string, len(schema.Fields))
	for i := range schema.Fields {
		names[i] = schema.Fields[i].Name
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(s.Fields)) {
		errs = append(errs, checkField(name, s.Fields[name], names))
	}
	return errors.Join(errs...)
}

func checkField(name string, set Set, known []string) error {
	if !slices.Contains(known, name) {
		return &UnknownError{What: "field", Name: name, Known: known}
	}
	if other, ok := set[ReplaceKey]; ok && !slices.Contains(known, other) {
		return fmt.Errorf("field %q: %s: %w", name, ReplaceKey, &UnknownError{What: "field", Name: other, Known: known})
	}
	return nil
}

// Merge returns a spec with the annotations of both; where both have the same, over prevails.
// Either may be nil. Neither is changed.
func Merge(base, over *Spec) *Spec {
	out := &Spec{}
	for _, s := range []*Spec{base, over} {
		if s == nil {
			continue
		}
		for key, value := range s.Source {
			out.SetSource(key, value)
		}
		for field, set := range s.Fields {
			out.touch(field)
			for key, value := range set {
				out.SetField(field, key, value)
			}
		}
	}
	return out
}

// SetSource sets an annotation of the data source.
func (s *Spec) SetSource(key, value string) {
	if s.Source == nil {
		s.Source = make(Set)
	}
	s.Source[key] = value
}

// SetField sets an annotation of a field.
func (s *Spec) SetField(field, key, value string) { s.touch(field)[key] = value }

// touch returns the annotations of the field, which may be none yet.
func (s *Spec) touch(field string) Set {
	if s.Fields == nil {
		s.Fields = make(map[string]Set)
	}
	if s.Fields[field] == nil {
		s.Fields[field] = make(Set)
	}
	return s.Fields[field]
}

// ParseSource returns the set as the annotations of a data source, in typed form.
func (s Set) ParseSource() (Source, error) {
	var out Source
	err := apply(&out, s, SourceKeys(), func(key, value string) { out.Other = with(out.Other, key, value) })
	if err == nil {
		err = out.check()
	}
	if err != nil {
		return Source{}, err
	}
	return out, nil
}

// ParseField returns the set as the annotations of a field, in typed form.
func (s Set) ParseField() (event.Annotations, error) {
	var out event.Annotations
	if err := s.annotate(&out); err != nil {
		return event.Annotations{}, err
	}
	return out, nil
}

func (s Set) annotate(a *event.Annotations) error {
	if len(s) == 0 {
		return nil
	}
	return errors.Join(
		apply(a, s, fieldKeys(), func(key, value string) { a.Other = with(a.Other, key, value) }),
		s.checkTargets())
}

// checkTargets refuses several names for the added field, because a type adds only one.
func (s Set) checkTargets() error {
	first := ""
	for _, key := range targetKeys() {
		value, ok := s[key]
		switch {
		case !ok:
		case first == "":
			first = key
		case s[first] != value:
			return fmt.Errorf("%s and %s name different fields, %s and %s; only one is added",
				first, key, Quote(s[first]), Quote(value))
		}
	}
	return nil
}

// apply sets all annotations of the set in the order of the table; other takes those that belong
// to another program.
func apply[T any](dst *T, set Set, keys []Key[T], other func(key, value string)) error {
	var errs []error
	for i := range keys {
		if text, ok := set[keys[i].Name]; ok {
			errs = append(errs, keys[i].Set(dst, text))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		switch {
		case slices.ContainsFunc(keys, func(k Key[T]) bool { return k.Name == name }):
		case isKept(name):
			other(name, set[name])
		default:
			errs = append(errs, unknownKey(name, keys))
		}
	}
	return errors.Join(errs...)
}

// CheckKey returns an error unless keys, or another program, have an annotation of that name that
// accepts the value.
func CheckKey[T any](keys []Key[T], name, value string) error {
	for i := range keys {
		if keys[i].Name == name {
			return keys[i].Check(value)
		}
	}
	if isKept(name) {
		return nil
	}
	return unknownKey(name, keys)
}

// isKept reports whether gizmo keeps an annotation that it does not use itself: other programs do, or a later gizmo may.
func isKept(name string) bool {
	_, pending := Pending(name)
	return pending || Foreign(name)
}

func unknownKey[T any](name string, keys []Key[T]) error {
	names := make([]string, len(keys))
	for i := range keys {
		names[i] = keys[i].Name
	}
	return &UnknownError{What: "annotation", Name: name, Known: names}
}

// Foreign reports whether an annotation belongs to another program by its name: "x-team", or
// "example.org/team".
func Foreign(key string) bool {
	if rest, ok := strings.CutPrefix(key, "x-"); ok {
		return rest != ""
	}
	domain, rest, ok := strings.Cut(key, "/")
	return ok && rest != "" && strings.Contains(domain, ".") && isName(domain)
}

// with returns a copy of m in which key has the value: maps may be shared between schemas.
func with(m map[string]string, key, value string) map[string]string {
	if old, ok := m[key]; ok && old == value {
		return m
	}
	out := make(map[string]string, len(m)+1)
	maps.Copy(out, m)
	out[key] = value
	return out
}
