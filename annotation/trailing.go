// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package annotation

import (
	"fmt"
	"slices"

	"github.com/gizmo-ebpf/gizmo/event"
)

// AddTrailing adds the field for trailing data, the bytes of a record after its struct, if the annotations name one. If the
// schema already has such a field, the annotations set its name and length.
func (s *Source) AddTrailing(schema *event.Schema) error {
	if s.RestName == "" {
		return nil
	}
	rest := event.Field{Name: s.RestName, Kind: event.Bytes, Rest: true, Off: schema.Size, Parent: event.NoParent}
	if i, ok := schema.Lookup(s.RestName); ok && !schema.Fields[i].Rest {
		return fmt.Errorf("ebpf.rest.name: there is a field %q already", s.RestName)
	}
	if s.RestLen != "" {
		i, ok := schema.Lookup(s.RestLen)
		if !ok || !isPlainInteger(&schema.Fields[i]) {
			return fmt.Errorf("ebpf.rest.len: there is no integer field %q", s.RestLen)
		}
		rest.LenOff, rest.LenSize = schema.Fields[i].Off, schema.Fields[i].Size
	}
	if i := slices.IndexFunc(schema.Fields, func(f event.Field) bool { return f.Rest }); i >= 0 {
		f := &schema.Fields[i]
		f.Name, f.LenOff, f.LenSize = rest.Name, rest.LenOff, rest.LenSize
		return nil
	}
	schema.Fields = append(schema.Fields, rest)
	return nil
}

func isPlainInteger(f *event.Field) bool {
	return (f.Kind == event.Uint || f.Kind == event.Int) && f.Count == 0 && f.BitSize == 0 && !f.Added
}
