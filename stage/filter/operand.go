// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package filter

import (
	"fmt"

	"github.com/gizmo-ebpf/gizmo/event"
)

// shape is what the value of a field is compared as.
type shape uint8

const (
	shapeInteger shape = iota // of at most 8 bytes, or a bit field
	shapeWide                 // integer of 16 bytes
	shapeFloat
	shapeBool
	shapeString // char[N], up to its NUL
	shapeBytes  // shown as hex digits
	shapeRest   // trailing data, shown as hex digits
	shapeText   // what the field's Text writes
	shapeTextInteger
	shapeTextFloat
	shapeTextBool
)

// isText reports whether the value is text, rather than a number, a boolean or bytes.
func (s shape) isText() bool { return s == shapeString || s == shapeText }

// isHex reports whether the value is bytes that are shown as hex digits.
func (s shape) isHex() bool { return s == shapeBytes || s == shapeRest }

// operand is a field that is compared with something.
type operand struct {
	*event.Field
	shape shape
}

// newOperand says how field i is compared. It is the only place that holds a field against the
// size of the record: reading relies on it.
func newOperand(v view, i int) (operand, error) {
	f := v.schema.Fields[i] // a copy, for the schema's list may move
	o := operand{Field: &f}
	switch {
	case f.Text != nil:
		o.shape = textShape(&f)
		return o, nil
	case f.Kind == event.Struct || f.Added:
		return o, isStruct(v, f.Name)
	case uint64(f.Off)+uint64(f.Size) > uint64(v.schema.Size),
		f.Rest && uint64(f.LenOff)+uint64(f.LenSize) > uint64(v.schema.Size):
		return o, fmt.Errorf("field %q does not lie within the %d bytes of a record", f.Name, v.schema.Size)
	case f.Rest:
		o.shape = shapeRest
		return o, nil
	case f.Count > 0 && f.Size == f.ElemSize()*f.Count && isScalar(plainShape(f.Kind, f.ElemSize(), 0)):
		return o, fmt.Errorf("field %q is an array of %d; a filter compares single values", f.Name, f.Count)
	}
	o.shape = plainShape(f.Kind, f.Size, f.BitSize)
	return o, nil
}

// textShape is how the text is compared that a field shows instead of its bytes.
func textShape(f *event.Field) shape {
	switch {
	case f.Count > 0: // one text for all elements
		return shapeText
	case f.Kind == event.Uint, f.Kind == event.Int:
		return shapeTextInteger
	case f.Kind == event.Float:
		return shapeTextFloat
	case f.Kind == event.Bool:
		return shapeTextBool
	}
	return shapeText
}

// plainShape is how a value is compared that the record holds. What has no size that fits its kind
// is bytes.
func plainShape(k event.Kind, size uint32, bitSize uint8) shape {
	fits := size >= 1 && size <= 8
	switch {
	case (k == event.Uint || k == event.Int) && fits:
		return shapeInteger
	case (k == event.Uint || k == event.Int) && size == 16 && bitSize == 0:
		return shapeWide
	case k == event.Float && (size == 4 || size == 8):
		return shapeFloat
	case k == event.Bool && fits:
		return shapeBool
	case k == event.String:
		return shapeString
	}
	return shapeBytes
}

func isScalar(s shape) bool { return s <= shapeBool }

// isStruct is the error for a field that has members instead of a value.
func isStruct(v view, name string) error {
	hint := ""
	if m := v.member(name); m != "" {
		hint = fmt.Sprintf(", such as %q", m)
	}
	return fmt.Errorf("%q is a struct; name one of its members%s", name, hint)
}

// bits returns the number of bits of an integer.
func (o *operand) bits() uint {
	if o.BitSize > 0 {
		return uint(o.BitSize)
	}
	return uint(o.Size) * 8
}

// kind names the kind of value in messages.
func (o *operand) kind() string {
	switch {
	case o.shape.isHex():
		return event.Bytes.String()
	case o.shape == shapeText:
		return event.String.String()
	}
	return o.Kind.String()
}

// mismatch is the error for a value that the field cannot have.
func (o *operand) mismatch(value, holds string) error {
	return fmt.Errorf("field %q (%s) holds %s, not %q", o.Name, o.kind(), holds, shorten(value))
}

// What fields hold, for messages.
const (
	wholeNumbers = "whole numbers"
	numbers      = "numbers"
	booleans     = "true or false"
	hexDigits    = "bytes, written as two hex digits each"
)
