// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package builtin

import (
	"reflect"
	"slices"
	"strings"
	"unsafe"

	"github.com/gizmo-ebpf/gizmo/event"
)

// A row of a data source is a struct of Go as it is in memory, which on the architectures that gizmo runs on is little-endian, as the
// records of BPF programs are. Its members have fixed sizes and two tags: "event" is the name of the field, and "type" the enriched
// type, if it has one.

// AppendRows appends rows to dst as bytes, without copying them: they are valid as long as rows does not change.
func AppendRows[T any](dst [][]byte, rows []T) [][]byte {
	for i := range rows {
		dst = append(dst, unsafe.Slice((*byte)(unsafe.Pointer(&rows[i])), unsafe.Sizeof(rows[i])))
	}
	return dst
}

// schemaOf makes the schema of a data source with rows of the struct T.
func schemaOf[T any](name string) *event.Schema {
	t := reflect.TypeFor[T]()
	s := &event.Schema{Name: name, Size: uint32(t.Size())}
	for i := range t.NumField() {
		m := t.Field(i)
		f := event.Field{Name: m.Tag.Get("event"), Off: uint32(m.Offset), Size: uint32(m.Type.Size()), Parent: event.NoParent}
		base := ""
		f.Kind, base = kindOf(m.Type.Kind())
		if enriched := m.Tag.Get("type"); enriched != "" {
			f.Types = append(f.Types, enriched)
		}
		f.Types = append(f.Types, base)
		s.Fields = append(s.Fields, f)
	}
	return s
}

// kindOf returns the kind of a field, and the name of its type in C.
func kindOf(k reflect.Kind) (event.Kind, string) {
	switch k {
	case reflect.Int8:
		return event.Int, "__s8"
	case reflect.Int32:
		return event.Int, "__s32"
	case reflect.Int64:
		return event.Int, "__s64"
	case reflect.Uint32:
		return event.Uint, "__u32"
	case reflect.Uint64:
		return event.Uint, "__u64"
	case reflect.Float64:
		return event.Float, "double"
	case reflect.Array: // of bytes
		return event.String, "char"
	}
	panic("a row cannot have a " + k.String()) // a test makes all schemas
}

// Schema returns the schema of the data source with only these fields, and those that are always there; with no names, with all fields.
// The names may lack "_raw". Names of fields that there are not change nothing.
func (s *Source) Schema(only []string) *event.Schema {
	schema := s.schema(s.Name)
	schema.Fields = slices.DeleteFunc(schema.Fields, func(f event.Field) bool { return !s.keeps(f.Name, only) })
	return schema
}

// keeps reports whether a field is among those chosen.
func (s *Source) keeps(field string, only []string) bool {
	return len(only) == 0 || slices.Contains(s.kept, field) || slices.ContainsFunc(only, func(name string) bool {
		return name == field || name == shortName(field) || name+"Str" == field
	})
}

// FieldNames lists the names by which fields can be chosen.
func (s *Source) FieldNames() []string {
	var names []string
	for _, f := range s.schema(s.Name).Fields {
		names = append(names, f.Name)
		if short := shortName(f.Name); short != f.Name {
			names = append(names, short)
		}
	}
	return names
}

func shortName(name string) string { return strings.TrimSuffix(name, "_raw") }
