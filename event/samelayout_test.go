// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package event

import "testing"

func layoutSchema() *Schema {
	s := &Schema{Gadget: "g", Name: "n", Single: true, Size: 32, Fields: []Field{
		{Name: "top", Kind: Struct, Size: 8, Parent: NoParent},
		{Name: "top.a", Kind: Uint, Types: []string{"a_type"}, Size: 4, Parent: 0, Enum: &Enum{Name: "e", Values: []EnumValue{{"A", 1}}}},
		{Name: "bits", Kind: Uint, Off: 8, Size: 4, BitOff: 1, BitSize: 2, Parent: NoParent},
		{Name: "list", Kind: Int, Off: 12, Size: 8, Count: 2, Parent: NoParent},
		{Name: "rest", Kind: Bytes, Off: 32, Rest: true, LenOff: 24, LenSize: 4, Parent: NoParent},
	}}
	s.Add(Field{Name: "text", Kind: String, Parent: NoParent})
	s.AddColumn(Field{Name: "column", Kind: String, Parent: NoParent, Table: &Texts{}})
	return s
}

func TestSameLayout(t *testing.T) {
	t.Parallel()
	field := func(i int, change func(f *Field)) func(*Schema) {
		return func(s *Schema) { change(&s.Fields[i]) }
	}
	for _, c := range []struct {
		name   string
		change func(s *Schema)
		same   bool
	}{
		{"nothing", func(*Schema) {}, true},
		{"names of the data source", func(s *Schema) { s.Gadget, s.Name = "other", "other" }, true},
		{"table", field(6, func(f *Field) { f.Table = &Numbers{} }), true},
		{"text", field(5, func(f *Field) { f.Text = func([]byte, *Batch, int) []byte { return nil } }), true},
		{"annotations", field(0, func(f *Field) { f.Ann.Description = "d" }), true},
		{"an equal enum", field(1, func(f *Field) { f.Enum = &Enum{Name: "e", Values: []EnumValue{{"A", 1}}} }), true},

		{"single", func(s *Schema) { s.Single = false }, false},
		{"size", func(s *Schema) { s.Size++ }, false},
		{"one field less", func(s *Schema) { s.Fields = s.Fields[:6] }, false},
		{"one field more", func(s *Schema) { s.Add(Field{Name: "more"}) }, false},
		{"name", field(1, func(f *Field) { f.Name = "top.b" }), false},
		{"kind", field(1, func(f *Field) { f.Kind = Int }), false},
		{"type", field(1, func(f *Field) { f.Types = []string{"another"} }), false},
		{"place", field(1, func(f *Field) { f.Off = 4 }), false},
		{"size of a field", field(1, func(f *Field) { f.Size = 2 }), false},
		{"count", field(3, func(f *Field) { f.Count = 4 }), false},
		{"bit", field(2, func(f *Field) { f.BitOff = 2 }), false},
		{"bits", field(2, func(f *Field) { f.BitSize = 3 }), false},
		{"rest", field(4, func(f *Field) { f.Rest = false }), false},
		{"place of the length", field(4, func(f *Field) { f.LenOff = 20 }), false},
		{"size of the length", field(4, func(f *Field) { f.LenSize = 2 }), false},
		{"parent", field(1, func(f *Field) { f.Parent = NoParent }), false},
		{"added", field(5, func(f *Field) { f.Added = false }), false},
		{"no column", field(6, func(f *Field) { f.column = 0 }), false},
		{"no enum", field(1, func(f *Field) { f.Enum = nil }), false},
		{"name of the enum", field(1, func(f *Field) { f.Enum = &Enum{Name: "f", Values: []EnumValue{{"A", 1}}} }), false},
		{"sign of the enum", field(1, func(f *Field) { f.Enum = &Enum{Name: "e", Signed: true, Values: []EnumValue{{"A", 1}}} }), false},
		{"value of the enum", field(1, func(f *Field) { f.Enum = &Enum{Name: "e", Values: []EnumValue{{"A", 2}}} }), false},
	} {
		a, b := layoutSchema(), layoutSchema()
		c.change(b)
		if a.SameLayout(b) != c.same || b.SameLayout(a) != c.same {
			t.Errorf("%s: the same layout: %v and %v, want %v", c.name, a.SameLayout(b), b.SameLayout(a), c.same)
		}
	}
}
