// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package sort

import (
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// NewArrays returns the stage that sorts arrays and shortens them to MaxEntries rows. It belongs
// behind the stages that remove rows or fill columns. Single events pass.
func NewArrays(o Options) (pipeline.Stage, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	return &arrays{o}, nil
}

type arrays struct{ o Options }

func (a *arrays) Extend(*event.Schema) error { return nil }
func (a *arrays) Close() error               { return nil }

func (a *arrays) Bind(s *event.Schema, _ event.FieldSet) (pipeline.Func, error) {
	wanted := a.o.Keys[s.Name]
	if s.Single || len(wanted) == 0 && a.o.MaxEntries == 0 {
		return nil, nil
	}
	if len(wanted) == 0 {
		return func(b *event.Batch) error { return keepFirst(b, a.o.MaxEntries) }, nil
	}
	ks, err := bindKeys(s, wanted)
	if err != nil {
		return nil, err
	}
	sorter := arraySorter{keys: ks}
	return func(b *event.Batch) error {
		sorter.sort(b)
		return keepFirst(b, a.o.MaxEntries)
	}, nil
}

// keepFirst removes all rows but the first n; 0 keeps all.
func keepFirst(b *event.Batch, n int) error {
	if n == 0 || len(b.Rows) <= n {
		return nil
	}
	clear(b.Rows[n:])
	b.Rows = b.Rows[:n]
	for c := range b.Cols {
		b.Cols[c] = b.Cols[c][:min(n, len(b.Cols[c]))]
	}
	return nil
}

// arraySorter sorts the arrays of one data source, one at a time.
type arraySorter struct {
	keys    *keys
	table   table
	rows    [][]byte
	handles []event.Handle
}

func (s *arraySorter) sort(b *event.Batch) {
	if len(b.Rows) < 2 {
		return
	}
	s.table.reset()
	for row := range b.Rows {
		s.keys.add(&s.table, b, row)
	}
	s.keys.sort(&s.table)
	s.rows = permute(b.Rows, s.rows, s.table.items)
	clear(s.rows) // they are not ours to keep
	for _, col := range b.Cols {
		if len(col) != len(b.Rows) {
			continue // of another data source that shares the batch
		}
		s.handles = permute(col, s.handles, s.table.items)
	}
}

// permute puts list into the order of items by way of scratch, which it returns.
func permute[T any](list, scratch []T, items []item) []T {
	scratch = scratch[:0]
	for _, it := range items {
		scratch = append(scratch, list[it.row])
	}
	copy(list, scratch)
	return scratch
}
