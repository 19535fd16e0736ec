// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package names

import (
	"math"

	"github.com/gizmo-ebpf/gizmo/internal/elffile"
	"github.com/gizmo-ebpf/gizmo/internal/gofuncs"
)

// goTable reads the functions that Go's runtime knows.
func goTable(f *elffile.File, code span) (*table, error) {
	g, err := gofuncs.Open(f)
	if err != nil {
		return nil, err
	}
	if g == nil || !code.contains(g.Code) {
		return nil, errNone
	}
	if g.Count > maxRows {
		return nil, errTooMany
	}
	end, err := g.End()
	if err != nil {
		return nil, err
	}
	b := goRows{limit: min(code.limit-g.Code, math.MaxUint32), rows: make([]row, 0, g.Count)}
	if err := g.Each(b.add); err != nil {
		return nil, err
	}
	b.end(end)
	return &table{base: g.Code, rows: b.rows, names: g.Names(), plain: true}, nil
}

// goRows makes rows of functions that come in the order of their addresses.
type goRows struct {
	limit uint64
	rows  []row
}

func (b *goRows) add(entry, nameAt uint32) error {
	if uint64(entry) >= b.limit {
		return errNone
	}
	b.end(entry)
	if n := len(b.rows); n > 0 && b.rows[n-1].start >= entry {
		return nil // out of order
	}
	b.rows = append(b.rows, row{start: entry, name: nameAt})
	return nil
}

// end ends the last function at an address.
func (b *goRows) end(at uint32) {
	if n := len(b.rows); n > 0 && at > b.rows[n-1].start && b.rows[n-1].size == 0 {
		b.rows[n-1].size = min(at-b.rows[n-1].start, sizeBits)
	}
}
