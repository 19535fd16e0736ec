// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package event

import "strings"

// Kind is the shape of a field's value.
type Kind uint8

// The kinds. The zero value makes no assumption about the bytes.
const (
	Bytes  Kind = iota // shown as hex digits
	Uint               // little-endian, 1, 2, 4, 8 or 16 bytes
	Int                // the same, two's complement
	Float              // IEEE 754, 4 or 8 bytes
	Bool               // one byte; anything but 0 is true
	String             // char[N]: ends at the first NUL byte, or at N
	Struct             // a node of the field tree: a nested struct or union
)

var kindNames = [...]string{"bytes", "uint", "int", "float", "bool", "string", "struct"}

// String returns the kind's name in lower case.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown"
}

// NoParent is the Parent of a field at the top of its record.
const NoParent = -1

// TextFunc appends one row's value of a field to dst. The output calls it once per event,
// so it must not allocate. A TextFunc may keep state between calls (a cached date,
// say): it belongs to one run and is not safe for use by several goroutines at once.
//
// The appended text need not be valid UTF-8 or free of control characters; encoders escape it.
type TextFunc func(dst []byte, b *Batch, row int) []byte

// Span is a range of bytes of a record.
type Span struct{ Off, Size uint32 }

// Field is one field of a data source.
//
// A field of the record has Off and Size. An added field (Added is true) has no bytes of its own:
// Text derives its value from other bytes of the record or from a column that a stage filled.
type Field struct {
	// Name is the full name with a dot between the levels: "proc.creds.uid".
	Name string `json:"name"`
	// Kind is the shape of the value; for an array, of one element.
	Kind Kind `json:"kind"`
	// Types are the names of the C types from the member to its base type, outermost
	// first: {"gadget_errno", "__u32"}. Struct, union and enum names come without their keyword.
	Types []string `json:"types,omitempty"`
	// Off and Size give the member's place in the record, in bytes. For arrays Size is that of the
	// whole array.
	Off  uint32 `json:"off"`
	Size uint32 `json:"size"`
	// Count is the number of elements of an array, 0 for a single value.
	Count uint32 `json:"count,omitempty"`
	// BitOff and BitSize locate a C bit field within the Size bytes at Off, counted from the least
	// significant bit. BitSize 0 means a plain member.
	BitOff  uint8 `json:"bitOff,omitempty"`
	BitSize uint8 `json:"bitSize,omitempty"`
	// Rest marks the trailing data, which Trailing returns: the bytes of a record after its struct. Off
	// is then the struct's size, Size 0, and Kind Bytes or String; a String has all bytes, NUL included.
	Rest bool `json:"rest,omitempty"`
	// LenOff and LenSize locate the integer in the record that says how many bytes of the trailing data
	// are valid. LenSize 0: all of them are.
	LenOff  uint32 `json:"lenOff,omitempty"`
	LenSize uint32 `json:"lenSize,omitempty"`
	// Content names the format of the trailing data, if it has one that gizmo knows: "dns". Texts are the names of the
	// texts that follow the valid bytes, each with a NUL byte at its end. Both come from annotations.
	Content string   `json:"-"`
	Texts   []string `json:"-"`
	// Parent is the index in Schema.Fields of the struct that this field is a member of, or NoParent.
	Parent int `json:"parent"`
	// Enum names the values of an enum member; nil for other types.
	Enum *Enum `json:"enum,omitempty"`

	// Added is true for fields that are not in the record.
	Added bool `json:"-"`
	// Text writes the value. Added fields other than structs have either a Text or a Table. For fields of
	// the record nil means the plain reading of Kind; a struct may have a Text too, for outputs that are
	// flat (an endpoint's "1.2.3.4:80").
	Text TextFunc `json:"-"`
	// Table holds the values of a field that Schema.AddColumn added.
	Table Table `json:"-"`
	// OfRest says that Text reads the trailing data, so that people expect the field beside it.
	OfRest bool `json:"-"`
	// Reads promises that Text depends only on these bytes of the record, and on facts that rarely change
	// within a second, such as the names of users. For up to a second, an encoder may then write the same
	// text for the same bytes without calling Text again. A Size of 0 promises nothing.
	Reads Span `json:"-"`
	// Plain promises that Text writes text that needs no escapes: printable ASCII without quotes and
	// backslashes; or, where Kind is a number, always a number as JSON has it.
	Plain bool `json:"-"`
	// Ann says how to show the field. It is not part of the recorded schema: a recording holds the
	// annotations as they were written, and a replay applies them again.
	Ann Annotations `json:"-"`

	column uint32 // the number of its column, counted from 1; 0: it has none
}

// Base returns the last part of the field's name: "uid" for "proc.creds.uid".
func (f *Field) Base() string {
	return f.Name[strings.LastIndexByte(f.Name, '.')+1:]
}

// Column returns the column whose handles give the field's values, if there is one.
func (f *Field) Column() (Column, bool) { return Column{int(f.column) - 1}, f.column > 0 }

// HasValue reports whether the field is more than a node of the field tree.
func (f *Field) HasValue() bool { return f.Kind != Struct || f.Text != nil }

// IsPrivate reports whether gizmo does not show a field of that name: a part of a private name starts with
// two underscores.
func IsPrivate(name string) bool {
	return strings.HasPrefix(name, "__") || strings.Contains(name, ".__")
}

// IsUnder reports whether name is the name of a field within the struct called above, at any depth. All
// names are under the empty name.
func IsUnder(name, above string) bool {
	return above == "" || len(name) > len(above) && name[len(above)] == '.' && strings.HasPrefix(name, above)
}

// HasType reports whether the C type name is one of the field's types.
func (f *Field) HasType(name string) bool {
	for _, t := range f.Types {
		if t == name {
			return true
		}
	}
	return false
}

// ElemSize returns the size in bytes of one value: of an array's element, or of the field.
func (f *Field) ElemSize() uint32 {
	if f.Count > 0 {
		return f.Size / f.Count
	}
	return f.Size
}

// Enum is the definition of a C enum.
type Enum struct {
	Name   string      `json:"name"`
	Signed bool        `json:"signed,omitempty"`
	Values []EnumValue `json:"values"`
}

// EnumValue is one enumerator. Value holds the bits; for a signed enum they are two's complement.
type EnumValue struct {
	Name  string `json:"name"`
	Value uint64 `json:"value"`
}

// IsSet reports whether the enum is a set of bits rather than one of several values: by
// convention, its name ends in "_set".
func (e *Enum) IsSet() bool { return strings.HasSuffix(e.Name, "_set") }
