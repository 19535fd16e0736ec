// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"errors"
	"fmt"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/symbol"
)

// addedField is an added field in a header: a field of a column, or a struct that has such fields as
// members.
type addedField struct {
	Name  string     `json:"name"`
	Kind  event.Kind `json:"kind"`
	Types []string   `json:"types,omitempty"`
	// Parent is the index of the struct that the field is a member of: the fields of the record count
	// first, then the added ones.
	Parent int         `json:"parent"`
	Enum   *event.Enum `json:"enum,omitempty"`
	// Column is the number of the field's column, counted from 1; 0 for a struct that is in no column.
	Column int `json:"column,omitempty"`
	// Stack says that the handles of the column have stacks, of which the field is a text. Then dictionaries do not have its value.
	Stack symbol.Format `json:"stack,omitempty"`
}

// hasValue reports whether the handles of the column give the field a value: structs have none.
func (f *addedField) hasValue() bool { return f.Column > 0 && f.Kind != event.Struct }

func isText(k event.Kind) bool { return k == event.String || k == event.Bytes }

// recordedColumns returns the columns of s that have fields with values. Only these are recorded, and
// the recording numbers them in this order.
func recordedColumns(s *event.Schema) (list []event.Column) {
	for i := range s.Fields {
		c, _ := s.Fields[i].Column()
		if inColumn(&s.Fields[i]) && (len(list) == 0 || list[len(list)-1] != c) {
			list = append(list, c)
		}
	}
	return list
}

// describeAdded returns the fields of the schema's columns and the added structs that they are members of, in their
// order.
func describeAdded(s *event.Schema) (list []addedField, err error) {
	wanted, err := wantedFields(s)
	if err != nil {
		return nil, err
	}
	numbers := make(map[event.Column]int)
	for i, c := range recordedColumns(s) {
		numbers[c] = i + 1
	}
	n := recordFields(s)
	places := make([]int, len(s.Fields)) // of the added fields in the recording
	for i := n; i < len(s.Fields); i++ {
		if !wanted[i] {
			continue
		}
		places[i] = n + len(list)
		f := &s.Fields[i]
		added := addedField{Name: f.Name, Kind: f.Kind, Types: f.Types, Parent: f.Parent, Enum: f.Enum}
		if f.Parent >= n {
			added.Parent = places[f.Parent]
		}
		if c, ok := f.Column(); ok {
			added.Column = numbers[c]
			if text, ok := f.Table.(*symbol.Text); ok {
				added.Stack = text.Format
			}
		}
		list = append(list, added)
	}
	return list, nil
}

// wantedFields says which added fields are recorded.
func wantedFields(s *event.Schema) ([]bool, error) {
	n := recordFields(s)
	wanted := make([]bool, len(s.Fields))
	for i := len(s.Fields) - 1; i >= n; i-- {
		f := &s.Fields[i]
		if inColumn(f) {
			wanted[i] = true
			if f.Table == nil {
				return nil, fmt.Errorf("field %q of a column has no table", f.Name)
			}
		}
		if !wanted[i] {
			continue
		}
		if f.Parent >= i {
			return nil, fmt.Errorf("field %q: its parent %d is not before it", f.Name, f.Parent)
		}
		if f.Parent >= n {
			wanted[f.Parent] = true
		}
	}
	return wanted, nil
}

// checkAdded returns an error if the added fields of a data source do not fit its schema, which has the fields of the record.
func checkAdded(s *event.Schema, added []addedField) error {
	if n := len(s.Fields) + len(added); n > maxFields {
		return tooMany(n, "fields", maxFields)
	}
	column := 0
	for i := range added {
		f := &added[i]
		if err := f.check(); err != nil {
			return fmt.Errorf("added field %d (%q): %w", i, f.Name, err)
		}
		if !isStruct(s, added[:i], f.Parent) && f.Parent != event.NoParent {
			return fmt.Errorf("added field %d (%q): its parent %d is not a struct before it", i, f.Name, f.Parent)
		}
		// The fields of a column follow each other.
		same := i > 0 && f.Column == added[i-1].Column
		if f.Column != 0 && !same && f.Column != column+1 {
			return fmt.Errorf("added field %d (%q): it is of column %d, after those of column %d", i, f.Name, f.Column, column)
		}
		column = max(column, f.Column)
	}
	if column > maxColumns {
		return tooMany(column, "columns", maxColumns)
	}
	return checkValues(added, column)
}

// checkValues returns an error if a column has no field with values.
func checkValues(added []addedField, columns int) error {
	has := make([]bool, columns+1)
	for i := range added {
		if added[i].hasValue() {
			has[added[i].Column] = true
		}
	}
	for c := 1; c <= columns; c++ {
		if !has[c] {
			return fmt.Errorf("column %d has no values", c)
		}
	}
	return nil
}

func (f *addedField) check() error {
	if err := checkName(f.Name); err != nil {
		return err
	}
	for _, t := range f.Types {
		if err := checkText(t); err != nil {
			return fmt.Errorf("type: %w", err)
		}
	}
	if f.Kind > event.Struct {
		return fmt.Errorf("kind %d is unknown", f.Kind)
	}
	if f.Column == 0 && f.Kind != event.Struct {
		return fmt.Errorf("%s in no column", f.Kind)
	}
	if f.Stack != "" && (f.Column == 0 || f.Kind != event.String) {
		return errors.New("the text of stacks can only be text in a column")
	}
	return checkEnum(&event.Field{Kind: f.Kind, Enum: f.Enum})
}

// isStruct reports whether a parent's index is the index of a struct.
func isStruct(s *event.Schema, added []addedField, parent int) bool {
	n := len(s.Fields)
	switch {
	case parent < 0 || parent >= n+len(added):
		return false
	case parent < n:
		return s.Fields[parent].Kind == event.Struct
	}
	return added[parent-n].Kind == event.Struct
}
