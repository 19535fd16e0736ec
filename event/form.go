// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package event

// Form is how a [Reader] gives a value: it decides which of the Reader's methods apply.
type Form uint8

// The forms. The numbers and booleans come first.
const (
	FormUint    Form = iota // a whole number of at most 64 bits: Uint
	FormInt                 // the same, signed: Int
	FormBool                // Uint: 0 or 1
	FormFloat               // Float
	FormUint128             // Wide
	FormInt128              // Wide, in two's complement
	FormText                // Bytes
	FormBytes               // Bytes, shown as hex digits
	FormArray               // Elements
)

// IsNumber reports whether values of the form are numbers or booleans.
func (f Form) IsNumber() bool { return f <= FormInt128 }

// IsInteger reports whether values of the form are whole numbers.
func (f Form) IsInteger() bool {
	return f == FormUint || f == FormInt || f == FormUint128 || f == FormInt128
}

// formOf returns the form of a value that is kept in size bytes, or in some bits of them. If the size does
// not fit the kind, the form is bytes.
func formOf(k Kind, size uint32, bitSize uint8) Form {
	small := size >= 1 && size <= 8
	wide := size == 16 && bitSize == 0
	switch {
	case k == Uint && small:
		return FormUint
	case k == Int && small:
		return FormInt
	case k == Uint && wide:
		return FormUint128
	case k == Int && wide:
		return FormInt128
	case k == Bool && small:
		return FormBool
	case k == Float && (size == 4 || size == 8):
		return FormFloat
	case k == String:
		return FormText
	}
	return FormBytes
}

// formOfKind returns the form of a value that is not a part of the record: a field's text, or a value of
// a column's table.
func formOfKind(k Kind) Form {
	switch k {
	case Uint:
		return FormUint
	case Int:
		return FormInt
	case Bool:
		return FormBool
	case Float:
		return FormFloat
	case Bytes:
		return FormBytes
	}
	return FormText
}
