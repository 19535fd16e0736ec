// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package filter

import (
	"fmt"

	"github.com/gizmo-ebpf/gizmo/event"
)

// operand is a field that is compared with something.
type operand struct {
	*event.Reader
	name string
}

// newOperand says how field i is compared.
func newOperand(v view, i int) (operand, error) {
	f := &v.schema.Fields[i]
	if !f.HasValue() {
		return operand{name: f.Name}, isStruct(v, f.Name)
	}
	reader, err := v.schema.Reader(i)
	o := operand{&reader, f.Name}
	if err == nil && reader.Form() == event.FormArray {
		err = fmt.Errorf("field %q is an array of %d; a filter compares single values", f.Name, reader.Count())
	}
	return o, err
}

// isText reports whether the value is text, rather than a number, a boolean or bytes.
func (o *operand) isText() bool { return o.Form() == event.FormText }

// isHex reports whether the value is bytes that are shown as hex digits.
func (o *operand) isHex() bool { return o.Form() == event.FormBytes }

// inRecord reports whether the value is read from the record's struct.
func (o *operand) inRecord() bool { return o.Origin() == event.FromRecord }

// isStruct is the error for a field that has members instead of a value.
func isStruct(v view, name string) error {
	hint := ""
	if m := v.member(name); m != "" {
		hint = fmt.Sprintf(", such as %q", m)
	}
	return fmt.Errorf("%q is a struct; name one of its members%s", name, hint)
}

// kind names the kind of value in messages.
func (o *operand) kind() string {
	switch {
	case o.isHex():
		return event.Bytes.String()
	case o.isText():
		return event.String.String()
	}
	return o.Field().Kind.String()
}

// mismatch is the error for a value that the field cannot have.
func (o *operand) mismatch(value, holds string) error {
	return fmt.Errorf("field %q (%s) holds %s, not %q", o.name, o.kind(), holds, shorten(value))
}

// What fields hold, for messages.
const (
	wholeNumbers = "whole numbers"
	numbers      = "numbers"
	booleans     = "true or false"
	hexDigits    = "bytes, written as two hex digits each"
)
