// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package btfschema turns the BTF of a C struct into the fields of an [event.Schema]. It is pure:
// it does not use the kernel.
package btfschema

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cilium/ebpf/btf"

	"github.com/gizmo-ebpf/gizmo/event"
)

// Limits of a struct: larger than any real gadget needs, and small enough that a hostile object
// cannot exhaust the memory or the stack.
const (
	maxFields = 4096
	maxDepth  = 32
	maxSize   = 1 << 20 // bytes
)

// New describes the records of the data source name: the members of the given structs or unions
// (map iterators have two, key and value), laid one after another without padding between them.
// Nested structs and unions flatten to dotted names, members whose name starts with "__" are left out.
func New(name string, single bool, types ...btf.Type) (*event.Schema, error) {
	s := &event.Schema{Name: name, Single: single}
	b := builder{schema: s, seen: make(map[string]bool)}
	for _, t := range types {
		size, err := btf.Sizeof(t)
		if err != nil {
			return nil, fmt.Errorf("size of %s: %w", typeName(t), err)
		}
		if size <= 0 || size > maxSize-int(s.Size) {
			return nil, fmt.Errorf("%s has %d bytes; a record has from 1 to %d", typeName(t), size, maxSize)
		}
		members, ok := membersOf(t)
		if !ok {
			return nil, fmt.Errorf("%s is not a struct or union", typeName(t))
		}
		if err := b.addMembers(members, place{off: s.Size, parent: event.NoParent}); err != nil {
			return nil, fmt.Errorf("%s: %w", typeName(t), err)
		}
		s.Size += uint32(size)
	}
	for i := range s.Fields {
		if f := &s.Fields[i]; f.Off+f.Size > s.Size || f.Off+f.Size < f.Off {
			return nil, fmt.Errorf("field %q lies outside of its struct", f.Name)
		}
	}
	return s, nil
}

// place is the place in the record and in the tree of fields at which members are added.
type place struct {
	prefix string // of the names: "proc."
	off    uint32 // of the enclosing struct, bytes
	parent int
	depth  int
}

type builder struct {
	schema *event.Schema
	seen   map[string]bool
}

func (b *builder) addMembers(members []btf.Member, at place) error {
	if at.depth > maxDepth {
		return fmt.Errorf("structs are nested more than %d deep", maxDepth)
	}
	for i := range members {
		if err := b.addMember(&members[i], at); err != nil {
			return err
		}
	}
	return nil
}

// aliasPrefix begins the typedefs of members that are second names of others, for sources that use
// an older spelling; see <gadget/types.h>.
const aliasPrefix = "__gadget_alias_"

func (b *builder) addMember(m *btf.Member, at place) error {
	if strings.HasPrefix(m.Name, "__") {
		return nil
	}
	t, names := resolve(m.Type)
	if len(names) > 0 && strings.HasPrefix(names[0], aliasPrefix) {
		return nil
	}
	off := at.off + m.Offset.Bytes()
	if m.Name == "" { // an anonymous struct or union: its members are ours
		inner, ok := membersOf(t)
		if !ok {
			return nil // padding, such as an unnamed bit field
		}
		return b.addMembers(inner, place{at.prefix, off, at.parent, at.depth + 1})
	}
	f := event.Field{Name: at.prefix + m.Name, Types: names, Off: off, Parent: at.parent}
	if err := describe(&f, t); err != nil {
		return fmt.Errorf("field %q: %w", f.Name, err)
	}
	if m.BitfieldSize > 0 {
		if err := placeBits(&f, m, at.off); err != nil {
			return err
		}
	}
	if f.Size == 0 {
		return nil // a flexible array member has no bytes in the struct
	}
	if err := b.append(f); err != nil {
		return err
	}
	if f.Kind != event.Struct {
		return nil
	}
	inner, _ := membersOf(t)
	return b.addMembers(inner, place{f.Name + ".", off, len(b.schema.Fields) - 1, at.depth + 1})
}

func (b *builder) append(f event.Field) error {
	if b.seen[f.Name] {
		return fmt.Errorf("two fields have the name %q", f.Name)
	}
	if len(b.schema.Fields) == maxFields {
		return fmt.Errorf("more than %d fields", maxFields)
	}
	b.seen[f.Name] = true
	b.schema.Fields = append(b.schema.Fields, f)
	return nil
}

// placeBits sets a bit field's place: the bytes that hold it and the bits within them.
func placeBits(f *event.Field, m *btf.Member, structOff uint32) error {
	first, last := uint32(m.Offset), uint32(m.Offset)+uint32(m.BitfieldSize)-1
	f.Off = structOff + first/8
	f.Size = last/8 - first/8 + 1
	f.BitOff, f.BitSize = uint8(first%8), uint8(m.BitfieldSize)
	if f.Size > 8 || f.Kind == event.Struct {
		return fmt.Errorf("field %q: a bit field of %d bits cannot be read", f.Name, m.BitfieldSize)
	}
	return nil
}

// resolve walks typedefs and qualifiers down to the base type and collects the names on the way.
// For an array those of its elements count.
func resolve(t btf.Type) (base btf.Type, names []string) {
	for range maxDepth {
		switch v := t.(type) {
		case *btf.Typedef:
			names = append(names, v.Name)
			t = v.Type
		case *btf.Const:
			t = v.Type
		case *btf.Volatile:
			t = v.Type
		case *btf.Restrict:
			t = v.Type
		case *btf.TypeTag:
			t = v.Type
		case *btf.Array:
			_, elem := resolveElem(v)
			return v, append(names, elem...)
		default:
			if n := t.TypeName(); n != "" {
				names = append(names, n)
			}
			return t, names
		}
	}
	return t, names
}

// resolveElem is resolve for an array's elements. An array of arrays has no names.
func resolveElem(a *btf.Array) (btf.Type, []string) {
	if _, nested := btf.UnderlyingType(a.Type).(*btf.Array); nested {
		return a, nil
	}
	return resolve(a.Type)
}

// describe sets the field's kind and size by its base type.
func describe(f *event.Field, t btf.Type) error {
	size, err := btf.Sizeof(t)
	if err != nil {
		return err
	}
	if size < 0 || size > maxSize {
		return fmt.Errorf("its size of %d bytes is too large", size)
	}
	f.Size = uint32(size)
	if a, ok := t.(*btf.Array); ok {
		describeArray(f, a)
		return nil
	}
	f.Kind, f.Enum, err = scalar(t)
	if errors.Is(err, errNotScalar) {
		f.Kind = event.Bytes
		if _, ok := membersOf(t); ok {
			f.Kind = event.Struct
		}
		return nil
	}
	return err
}

// describeArray sets the kind of an array: char[N] is a string, other arrays of scalars are arrays, arrays
// of anything else are bytes. So are arrays of unsigned bytes, which hold addresses and digests, not numbers.
func describeArray(f *event.Field, a *btf.Array) {
	elem, _ := resolveElem(a)
	kind, enum, err := scalar(elem)
	f.Kind = event.Bytes
	if err != nil {
		return
	}
	if n, ok := elem.(*btf.Int); ok && n.Size == 1 && kind != event.Bool {
		if n.Encoding == btf.Char || n.Name == "char" {
			f.Kind = event.String
		}
		return
	}
	f.Kind, f.Enum, f.Count = kind, enum, a.Nelems
}

var errNotScalar = errors.New("not a scalar")

func scalar(t btf.Type) (event.Kind, *event.Enum, error) {
	switch v := t.(type) {
	case *btf.Int:
		return intKind(v), nil, sizeIn(v.Size, 1, 2, 4, 8, 16)
	case *btf.Float:
		return event.Float, nil, sizeIn(v.Size, 4, 8)
	case *btf.Pointer:
		return event.Uint, nil, nil
	case *btf.Enum:
		kind := event.Uint
		if v.Signed {
			kind = event.Int
		}
		return kind, Enum(v), sizeIn(v.Size, 1, 2, 4, 8)
	}
	return event.Bytes, nil, errNotScalar
}

func intKind(v *btf.Int) event.Kind {
	switch v.Encoding {
	case btf.Bool:
		return event.Bool
	case btf.Signed:
		return event.Int
	}
	return event.Uint
}

// sizeIn accepts the sizes that compilers make. A hostile object may hold other sizes; such a member
// is read as bytes.
func sizeIn(size uint32, sizes ...uint32) error {
	for _, s := range sizes {
		if size == s {
			return nil
		}
	}
	return errNotScalar
}

// Enum returns the names and values of a C enum.
func Enum(t *btf.Enum) *event.Enum {
	e := &event.Enum{Name: t.Name, Signed: t.Signed, Values: make([]event.EnumValue, len(t.Values))}
	for i, v := range t.Values {
		e.Values[i] = event.EnumValue{Name: v.Name, Value: v.Value}
	}
	return e
}

func membersOf(t btf.Type) ([]btf.Member, bool) {
	switch v := btf.UnderlyingType(t).(type) {
	case *btf.Struct:
		return v.Members, true
	case *btf.Union:
		return v.Members, true
	}
	return nil, false
}

func typeName(t btf.Type) string {
	switch t.(type) {
	case *btf.Struct:
		return fmt.Sprintf("struct %s", t.TypeName())
	case *btf.Union:
		return fmt.Sprintf("union %s", t.TypeName())
	}
	return fmt.Sprintf("type %q", t.TypeName())
}

// PreferEnums replaces the definitions of the enums in s by those in types, where types has them: the
// running kernel's own definitions are better than those of the kernel that the object was compiled for.
func PreferEnums(s *event.Schema, types *btf.Spec) {
	for i := range s.Fields {
		f := &s.Fields[i]
		if f.Enum == nil || f.Enum.Name == "" {
			continue
		}
		var e *btf.Enum
		if err := types.TypeByName(f.Enum.Name, &e); err == nil {
			f.Enum = Enum(e)
		}
	}
}
