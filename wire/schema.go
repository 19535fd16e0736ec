// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"

	"github.com/gizmo-ebpf/gizmo/event"
)

// maxName is the longest name in bytes.
const maxName = 1 << 10

// validateSchema returns an error unless every field of s, all of them fields of the record, can be read from
// a row of s.Size bytes without further checks.
func validateSchema(s *event.Schema) error {
	if err := checkName(s.Name); err != nil {
		return err
	}
	if s.Size > maxRow {
		return fmt.Errorf("rows of %d bytes; the limit is %d", s.Size, maxRow)
	}
	if len(s.Fields) > maxFields {
		return tooMany(len(s.Fields), "fields", maxFields)
	}
	for i := range s.Fields {
		if err := validateField(s, i); err != nil {
			return fmt.Errorf("field %d (%q): %w", i, s.Fields[i].Name, err)
		}
	}
	return nil
}

func validateField(s *event.Schema, i int) error {
	f := &s.Fields[i]
	if err := checkName(f.Name); err != nil {
		return err
	}
	for _, t := range f.Types {
		if err := checkText(t); err != nil {
			return fmt.Errorf("type: %w", err)
		}
	}
	if err := checkPlace(s, f); err != nil {
		return err
	}
	if f.Parent != event.NoParent && (f.Parent < 0 || f.Parent >= i || s.Fields[f.Parent].Kind != event.Struct) {
		return fmt.Errorf("its parent %d is not a struct before it", f.Parent)
	}
	if err := checkShape(f); err != nil {
		return err
	}
	return checkEnum(f)
}

func checkPlace(s *event.Schema, f *event.Field) error {
	if f.Rest {
		return checkRest(s, f)
	}
	if f.LenOff > 0 || f.LenSize > 0 {
		return errors.New("a length, though it is not the trailing data")
	}
	if !within(f.Off, f.Size, s) {
		return fmt.Errorf("%d bytes at byte %d of records of %d", f.Size, f.Off, s.Size)
	}
	return nil
}

func checkRest(s *event.Schema, f *event.Field) error {
	if f.Off != s.Size || f.Size != 0 || f.Kind != event.Bytes && f.Kind != event.String {
		return fmt.Errorf("trailing data (%s) at byte %d of records of %d", f.Kind, f.Off, s.Size)
	}
	switch f.LenSize {
	case 0, 1, 2, 4, 8:
		if within(f.LenOff, f.LenSize, s) {
			return nil
		}
	}
	return fmt.Errorf("its length has %d bytes at byte %d of records of %d", f.LenSize, f.LenOff, s.Size)
}

func within(off, size uint32, s *event.Schema) bool {
	return uint64(off)+uint64(size) <= uint64(s.Size)
}

// checkShape checks the kind against the sizes.
func checkShape(f *event.Field) error {
	if f.Count > 0 && f.Size%f.Count != 0 {
		return fmt.Errorf("%d elements in %d bytes", f.Count, f.Size)
	}
	if f.BitSize > 0 || f.BitOff > 0 {
		return checkBits(f)
	}
	ok := true
	switch size := f.ElemSize(); f.Kind {
	case event.Uint, event.Int:
		ok = size == 1 || size == 2 || size == 4 || size == 8 || size == 16
	case event.Float:
		ok = size == 4 || size == 8
	case event.Bool:
		ok = size == 1
	case event.Bytes, event.String, event.Struct:
	default:
		return fmt.Errorf("kind %d is unknown", f.Kind)
	}
	if !ok {
		return fmt.Errorf("%s of %d bytes", f.Kind, f.ElemSize())
	}
	return nil
}

func checkBits(f *event.Field) error {
	if f.Kind != event.Uint && f.Kind != event.Int && f.Kind != event.Bool {
		return fmt.Errorf("%s as a bit field", f.Kind)
	}
	if f.Count > 0 || f.Size > 16 || f.BitSize == 0 || f.BitSize > 64 || uint32(f.BitOff)+uint32(f.BitSize) > 8*f.Size {
		return fmt.Errorf("%d bits at bit %d of %d bytes", f.BitSize, f.BitOff, f.Size)
	}
	return nil
}

func checkEnum(f *event.Field) error {
	if f.Enum == nil {
		return nil
	}
	if f.Kind != event.Uint && f.Kind != event.Int || f.ElemSize() > 8 {
		return fmt.Errorf("%s of %d bytes as an enum", f.Kind, f.ElemSize())
	}
	if err := checkText(f.Enum.Name); err != nil {
		return fmt.Errorf("enum: %w", err)
	}
	for i := range f.Enum.Values {
		if err := checkName(f.Enum.Values[i].Name); err != nil {
			return fmt.Errorf("enum %s: value %d: %w", f.Enum.Name, i, err)
		}
	}
	return nil
}

func checkName(s string) error {
	if s == "" {
		return errors.New("it has no name")
	}
	return checkText(s)
}

// checkText refuses names with characters that could affect a terminal.
func checkText(s string) error {
	if len(s) > maxName {
		return fmt.Errorf("a name of %d bytes; the limit is %d", len(s), maxName)
	}
	if !utf8.ValidString(s) {
		return fmt.Errorf("the name %q is not UTF-8", s)
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return fmt.Errorf("the name %q has an unprintable character", s)
		}
	}
	return nil
}
