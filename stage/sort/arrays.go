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

// Reads implements [pipeline.Stage].
func (a *arrays) Reads(s *event.Schema) (event.FieldSet, error) {
	if s.Single {
		return event.FieldSet{}, nil
	}
	return a.o.reads(s)
}

func (a *arrays) Bind(s *event.Schema, _ event.FieldSet) (pipeline.Func, error) {
	wanted := a.o.Keys[s.ID()]
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
	b.Truncate(n)
	return nil
}

// arraySorter sorts the arrays of one data source, one at a time.
type arraySorter struct {
	keys  *keys
	table table
	rows  [][]byte
	order []uint32
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
	s.rows, s.order = append(s.rows[:0], b.Rows...), s.order[:0]
	for i, it := range s.table.items {
		b.Rows[i] = s.rows[it.row]
		s.order = append(s.order, it.row)
	}
	clear(s.rows) // they are not ours to keep
	b.PermuteColumns(s.order)
}
