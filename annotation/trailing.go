// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package annotation

import (
	"errors"
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
	rest := event.Field{Name: s.RestName, Kind: event.Bytes, Rest: true, Off: schema.Size, Parent: event.NoParent,
		Content: s.RestContent, Texts: s.RestTexts}
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
	if err := s.checkTexts(); err != nil {
		return err
	}
	if i := slices.IndexFunc(schema.Fields, func(f event.Field) bool { return f.Rest }); i >= 0 {
		f := &schema.Fields[i]
		f.Name, f.LenOff, f.LenSize, f.Content, f.Texts = rest.Name, rest.LenOff, rest.LenSize, rest.Content, rest.Texts
		return nil
	}
	schema.Fields = append(schema.Fields, rest)
	return nil
}

// AddTrailingText adds the field that has the trailing data as text, if the annotations name one. The schema must have the field
// that AddTrailing adds.
func (s *Source) AddTrailingText(schema *event.Schema) error {
	if s.RestText == "" {
		return nil
	}
	if _, taken := schema.Lookup(s.RestText); taken {
		return fmt.Errorf("ebpf.rest.text: there is a field %q already", s.RestText)
	}
	i := slices.IndexFunc(schema.Fields, func(f event.Field) bool { return f.Rest })
	if i < 0 {
		return errors.New("ebpf.rest.text: there is no field for the trailing data; name it with ebpf.rest.name")
	}
	rest := schema.Fields[i]
	schema.Fields = append(schema.Fields, event.Field{
		Name: s.RestText, Kind: event.String, Parent: event.NoParent, Added: true,
		Text: func(dst []byte, b *event.Batch, row int) []byte {
			return append(dst, rest.Trailing(b.Rows[row])...)
		},
	})
	return nil
}

func isPlainInteger(f *event.Field) bool {
	return (f.Kind == event.Uint || f.Kind == event.Int) && f.Count == 0 && f.BitSize == 0 && !f.Added
}

// checkTexts checks the names of the texts after the trailing data.
func (s *Source) checkTexts() error {
	if len(s.RestTexts) > 0 && s.RestLen == "" {
		return errors.New("ebpf.rest.texts: the texts follow the bytes that ebpf.rest.len counts, which is not set")
	}
	for _, name := range s.RestTexts {
		if !isName(name) {
			return fmt.Errorf("ebpf.rest.texts: %s is not a field's name", Quote(name))
		}
	}
	return nil
}
