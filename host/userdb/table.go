// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package userdb

import (
	"maps"
	"slices"
)

// Table names ids by a fixed table, such as that of a recording.
type Table map[uint32]string

// Append appends the name of id to dst, or nothing if it has none.
func (t Table) Append(dst []byte, id uint32) []byte { return append(dst, t[id]...) }

// Version is always the same, since the names are.
func (t Table) Version() uint64 { return 0 }

// Table returns a copy of the names of the lowest ids, at most limit of them.
func (f *File) Table(limit int) Table {
	names := *f.names.Load()
	ids := slices.Sorted(maps.Keys(names))
	t := make(Table, min(limit, len(ids)))
	for _, id := range ids[:min(limit, len(ids))] {
		t[id] = names[id]
	}
	return t
}
