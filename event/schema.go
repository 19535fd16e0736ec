// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package event

import (
	"math/bits"
	"slices"
)

// SourceID identifies a data source within a run.
type SourceID struct {
	// Gadget is the name of the gadget's instance; empty in a run of one gadget.
	Gadget string
	// Name is the name of the data source, which is unique within its gadget.
	Name string
}

// String returns the name as users write it: NAME, or GADGET/NAME in a run of several gadgets.
func (id SourceID) String() string {
	if id.Gadget == "" {
		return id.Name
	}
	return id.Gadget + "/" + id.Name
}

// Matches reports whether name, as users write it, means the data source: GADGET/NAME, or NAME for the data
// sources of that name of all gadgets.
func (id SourceID) Matches(name string) bool { return name == id.Name || name == id.String() }

// Schema is the list of a data source's fields. Fields of the record come first, in the order of
// their offsets, every struct before its members; added fields follow.
//
// A schema is composed before a run starts and does not change once events flow.
type Schema struct {
	// Gadget names the gadget's instance if a run has several gadgets, because two gadgets may have data sources of
	// the same name. See SourceID.
	Gadget string `json:"gadget,omitempty"`
	// Name is the data source's name.
	Name string `json:"name"`
	// Single says that each record is a single event. Otherwise a batch is one array.
	Single bool `json:"single"`
	// Size is the size of the record's struct in bytes. No row is shorter.
	Size   uint32  `json:"size"`
	Fields []Field `json:"fields"`

	columns int // that AddColumn has made
}

// ID identifies the data source within a run.
func (s *Schema) ID() SourceID { return SourceID{s.Gadget, s.Name} }

// Lookup returns the index of the field with the given full name. If several fields have the name, it
// returns the last one, whose value the output shows.
func (s *Schema) Lookup(name string) (int, bool) {
	for i := len(s.Fields) - 1; i >= 0; i-- {
		if s.Fields[i].Name == name {
			return i, true
		}
	}
	return 0, false
}

// Add appends an added field and returns its index.
func (s *Schema) Add(f Field) int {
	f.Added = true
	s.Fields = append(s.Fields, f)
	return len(s.Fields) - 1
}

// AddColumn appends added fields that share one handle per row: each field's Table gives the value for a
// handle. It returns the column in which the caller, a stage, stores the handles.
func (s *Schema) AddColumn(fields ...Field) Column {
	c := Column{s.columns}
	s.columns++
	for _, f := range fields {
		f.Added, f.Text, f.column = true, nil, uint32(s.columns)
		s.Fields = append(s.Fields, f)
	}
	return c
}

// ReadsColumn reports whether a set of fields has one of a column.
func (s *Schema) ReadsColumn(column Column, set FieldSet) bool {
	for i := range s.Fields {
		if c, ok := s.Fields[i].Column(); ok && c == column && set.Has(i) {
			return true
		}
	}
	return false
}

// Columns returns the columns that AddColumn has made, in that order.
func (s *Schema) Columns() []Column {
	list := make([]Column, s.columns)
	for i := range list {
		list[i] = Column{i}
	}
	return list
}

// Clone returns a copy whose list of fields can be extended without changing s.
func (s *Schema) Clone() *Schema {
	c := *s
	c.Fields = append([]Field(nil), s.Fields...)
	return &c
}

// SameLayout reports whether s and other have the same fields in the same order: the same names, kinds, types and
// places. Annotations, the sources of the values of added fields, and the names of the data sources may differ.
func (s *Schema) SameLayout(other *Schema) bool {
	return s.Single == other.Single && s.Size == other.Size && slices.EqualFunc(s.Fields, other.Fields, sameField)
}

func sameField(a, b Field) bool {
	return a.Name == b.Name && a.Kind == b.Kind && a.Parent == b.Parent &&
		a.Off == b.Off && a.Size == b.Size && a.Count == b.Count && a.BitOff == b.BitOff && a.BitSize == b.BitSize &&
		a.Rest == b.Rest && a.LenOff == b.LenOff && a.LenSize == b.LenSize &&
		a.Added == b.Added && a.column == b.column &&
		slices.Equal(a.Types, b.Types) && sameEnum(a.Enum, b.Enum)
}

func sameEnum(a, b *Enum) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Name == b.Name && a.Signed == b.Signed && slices.Equal(a.Values, b.Values)
}

// FieldSet is a set of indices into Schema.Fields. The zero value is empty.
type FieldSet struct{ words []uint64 }

// Add puts field i into the set.
func (s *FieldSet) Add(i int) {
	for len(s.words) <= i/64 {
		s.words = append(s.words, 0)
	}
	s.words[i/64] |= 1 << (i % 64)
}

// Has reports whether field i is in the set.
func (s FieldSet) Has(i int) bool {
	return i/64 < len(s.words) && s.words[i/64]&(1<<(i%64)) != 0
}

// Len returns the number of fields in the set.
func (s FieldSet) Len() int {
	n := 0
	for _, w := range s.words {
		n += bits.OnesCount64(w)
	}
	return n
}

// AddAll puts all fields of other into the set.
func (s *FieldSet) AddAll(other FieldSet) {
	for len(s.words) < len(other.words) {
		s.words = append(s.words, 0)
	}
	for i, w := range other.words {
		s.words[i] |= w
	}
}
