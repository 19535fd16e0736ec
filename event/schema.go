// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package event

import "math/bits"

// Schema is the list of a data source's fields. Fields of the record come first, in the order of
// their offsets, every struct before its members; added fields follow.
//
// A schema is put together before a run starts and not changed once events flow.
type Schema struct {
	// Name is the data source's name.
	Name string `json:"name"`
	// Single says that each record is an event of its own. Otherwise a batch is one array.
	Single bool `json:"single"`
	// Size is that of the record's struct in bytes. No row is shorter.
	Size   uint32  `json:"size"`
	Fields []Field `json:"fields"`
}

// Lookup returns the index of the field with the given full name.
func (s *Schema) Lookup(name string) (int, bool) {
	for i := range s.Fields {
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

// Clone returns a copy whose list of fields can be extended without changing s.
func (s *Schema) Clone() *Schema {
	c := *s
	c.Fields = append([]Field(nil), s.Fields...)
	return &c
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
