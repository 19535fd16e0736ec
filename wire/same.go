// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"reflect"

	"github.com/gizmo-ebpf/gizmo/event"
)

// sameRecord reports whether the records of a and b have the same layout.
func sameRecord(a, b *event.Schema) bool {
	n := recordFields(a)
	if a.Single != b.Single || a.Size != b.Size || n != recordFields(b) {
		return false
	}
	for i := range n {
		x, y := &a.Fields[i], &b.Fields[i]
		if x.Name != y.Name || x.Kind != y.Kind || x.Off != y.Off || x.Size != y.Size {
			return false
		}
	}
	return true
}

// sameColumns says whether the columns that both a and b have are alike: their fields with their tables.
func sameColumns(a, b *event.Schema) bool {
	i, j := nextValue(a, 0), nextValue(b, 0)
	for i < len(a.Fields) && j < len(b.Fields) {
		x, y := &a.Fields[i], &b.Fields[j]
		c, _ := x.Column()
		d, _ := y.Column()
		if c != d || x.Name != y.Name || x.Kind != y.Kind || !sameTable(x.Table, y.Table) {
			return false
		}
		i, j = nextValue(a, i+1), nextValue(b, j+1)
	}
	return true
}

// nextValue returns the index of the first field, beginning at i, that a column gives values to.
func nextValue(s *event.Schema, i int) int {
	for i < len(s.Fields) && !inColumn(&s.Fields[i]) {
		i++
	}
	return i
}

// inColumn reports whether a column gives values to the field. Structs have none.
func inColumn(f *event.Field) bool {
	_, ok := f.Column()
	return ok && f.Kind != event.Struct
}

// sameTable says whether a and b are not known to be different.
func sameTable(a, b event.Table) bool {
	return !reflect.ValueOf(a).Comparable() || !reflect.ValueOf(b).Comparable() || a == b
}
