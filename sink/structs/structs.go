// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package structs hands events to a Go program, as values of a struct whose tags name the fields.
package structs

import (
	"errors"
	"fmt"
	"reflect"
	"sync"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/internal/nearest"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// Tag is the key of the tag that names the field of an event: `event:"proc.pid"`.
const Tag = "event"

// Each returns a sink that calls do for each event. T is a struct; its members with a tag get the value of the field that
// the tag names: strings the human-readable text, []byte the bytes, and numbers and booleans the field's number or boolean. A
// member is zero if its field has no value for an event. Members without a tag are not changed.
//
// All calls get a pointer to the same T, so do must copy what it keeps; strings and []byte are new for each event and may be kept.
// One goroutine at a time calls do. Its first error ends the run.
func Each[T any](do func(*T) error) pipeline.Sink {
	return &sink[T]{do: do, bound: make(map[*event.Schema][]member)}
}

type sink[T any] struct {
	do func(*T) error

	mu    sync.Mutex
	value T
	bound map[*event.Schema][]member
}

// member is a member of the struct and what sets it.
type member struct {
	reader event.Reader
	value  reflect.Value
	set    func(m *member, b *event.Batch, row int) error
}

// Bind implements pipeline.Sink.
func (s *sink[T]) Bind(schema *event.Schema) (event.FieldSet, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var reads event.FieldSet
	v := reflect.ValueOf(&s.value).Elem()
	if v.Kind() != reflect.Struct {
		return reads, fmt.Errorf("events are handed over as structs, and %s is not a struct", v.Type())
	}
	var members []member
	var errs []error
	for i := range v.NumField() {
		name, ok := v.Type().Field(i).Tag.Lookup(Tag)
		if !ok {
			continue
		}
		m, index, err := newMember(schema, name, v.Field(i))
		if err != nil {
			errs = append(errs, fmt.Errorf("member %s of %s: %w", v.Type().Field(i).Name, v.Type(), err))
			continue
		}
		reads.Add(index)
		members = append(members, m)
	}
	s.bound[schema] = members
	return reads, errors.Join(errs...)
}

func newMember(s *event.Schema, name string, v reflect.Value) (member, int, error) {
	i, ok := s.Lookup(name)
	if !ok || event.IsPrivate(name) {
		return member{}, 0, fmt.Errorf("data source %q has no field %q%s", s.ID(), name, nearest.Hint(name, names(s)))
	}
	if !v.CanSet() {
		return member{}, 0, errors.New("it is not exported")
	}
	reader, err := s.Reader(i)
	if err != nil {
		return member{}, 0, err
	}
	m := member{reader: reader, value: v, set: setterOf(v.Type(), reader.Form())}
	if m.set == nil {
		return m, 0, fmt.Errorf("a %s cannot hold field %q, which is %s", v.Type(), name, s.Fields[i].Kind)
	}
	return m, i, nil
}

func names(s *event.Schema) []string {
	var list []string
	for i := range s.Fields {
		if f := &s.Fields[i]; f.HasValue() && !event.IsPrivate(f.Name) {
			list = append(list, f.Name)
		}
	}
	return list
}

// setterOf returns what sets a member of type t to values of a form; nil if it cannot hold them.
func setterOf(t reflect.Type, form event.Form) func(*member, *event.Batch, int) error {
	integer := form == event.FormUint || form == event.FormInt
	switch {
	case t.Kind() == reflect.String:
		return setString
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 && !form.IsNumber():
		return setBytes
	case t.Kind() == reflect.Bool && form == event.FormBool:
		return setBool
	case t.Kind() >= reflect.Uint && t.Kind() <= reflect.Uint64 && integer:
		return setUint
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Int64 && integer:
		return setInt
	case (t.Kind() == reflect.Float32 || t.Kind() == reflect.Float64) && form.IsNumber() && form != event.FormBool:
		return setFloat
	}
	return nil
}

func setString(m *member, b *event.Batch, row int) error {
	m.value.SetString(m.reader.String(b, row))
	return nil
}

func setBytes(m *member, b *event.Batch, row int) error {
	m.value.SetBytes(append([]byte(nil), m.reader.Bytes(b, row)...))
	return nil
}

func setBool(m *member, b *event.Batch, row int) error {
	v, _ := m.reader.Uint(b, row)
	m.value.SetBool(v != 0)
	return nil
}

func setUint(m *member, b *event.Batch, row int) error {
	v, _ := m.reader.Uint(b, row)
	if m.reader.Form() == event.FormInt {
		signed, _ := m.reader.Int(b, row)
		if signed < 0 {
			return m.overflow(b, row)
		}
		v = uint64(signed)
	}
	if m.value.OverflowUint(v) {
		return m.overflow(b, row)
	}
	m.value.SetUint(v)
	return nil
}

func setInt(m *member, b *event.Batch, row int) error {
	v, _ := m.reader.Int(b, row)
	if m.reader.Form() == event.FormUint {
		unsigned, _ := m.reader.Uint(b, row)
		if v = int64(unsigned); v < 0 {
			return m.overflow(b, row)
		}
	}
	if m.value.OverflowInt(v) {
		return m.overflow(b, row)
	}
	m.value.SetInt(v)
	return nil
}

func setFloat(m *member, b *event.Batch, row int) error {
	v, _ := m.reader.Float(b, row)
	m.value.SetFloat(v)
	return nil
}

func (m *member) overflow(b *event.Batch, row int) error {
	return fmt.Errorf("field %q: %s does not fit a %s", m.reader.Field().Name, m.reader.String(b, row), m.value.Type())
}

// Write implements pipeline.Sink.
func (s *sink[T]) Write(b *event.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	members := s.bound[b.Schema]
	for row := range b.Rows {
		for i := range members {
			if err := members[i].set(&members[i], b, row); err != nil {
				return err
			}
		}
		if err := s.do(&s.value); err != nil {
			return err
		}
	}
	return nil
}
