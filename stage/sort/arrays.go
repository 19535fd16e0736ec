// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package sort

import (
	"slices"
	"sync"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/internal/memory"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// NewArrays returns the stage that sorts arrays and shortens them to MaxEntries rows. It must come
// after the stages that remove rows or fill columns. It passes single events on.
func NewArrays(o Options) (pipeline.Stage, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	o.MaxHeld = o.maxHeld(memory.Available())
	return &arrays{o: o}, nil
}

type arrays struct {
	o       Options
	scratch scratch
}

// scratch is the memory for sorting an array, which the data sources share.
type scratch struct {
	mu    sync.Mutex
	table table
	rows  [][]byte
	order []uint32
}

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
		return firstOf(a.o.MaxEntries), nil
	}
	ks, err := bindKeys(s, wanted)
	if err != nil {
		return nil, err
	}
	sorter := arraySorter{keys: ks, limit: a.o.MaxHeld, scratch: &a.scratch}
	first := firstOf(a.o.MaxEntries)
	return func(b *event.Batch) error {
		if err := sorter.sort(b); err != nil {
			return err
		}
		return first(b)
	}, nil
}

// firstOf returns a Func that keeps the first n rows of an array; 0 keeps all.
func firstOf(n int) pipeline.Func {
	kept := 0 // rows of the array's parts so far
	return func(b *event.Batch) error {
		if n > 0 && kept+len(b.Rows) > n {
			b.Truncate(n - kept)
		}
		kept += len(b.Rows)
		if !b.Continues {
			kept = 0
		}
		return nil
	}
}

// arraySorter sorts the arrays of one data source, one at a time.
type arraySorter struct {
	keys  *keys
	limit int // for the memory of the keys, in bytes
	*scratch
}

func (s *arraySorter) sort(b *event.Batch) error {
	if len(b.Rows) < 2 {
		return nil
	}
	const beside = 2*24 + 4 // two slice headers, and its index
	fixed := len(b.Rows) * (rowBytes(s.keys) + beside)
	if fixed > s.limit {
		return tooLarge(b.Schema, s.limit)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.table.reset()
	s.table.grow(len(b.Rows), s.keys.words)
	for row := range b.Rows {
		s.keys.add(&s.table, b, row)
		if fixed+len(s.table.texts) > s.limit {
			return tooLarge(b.Schema, s.limit)
		}
	}
	s.keys.sort(&s.table)
	s.rows, s.order = append(s.rows[:0], b.Rows...), slices.Grow(s.order[:0], len(b.Rows))
	for i, it := range s.table.items {
		b.Rows[i] = s.rows[it.row]
		s.order = append(s.order, it.row)
	}
	clear(s.rows) // the sorter must not keep them
	b.PermuteColumns(s.order)
	return nil
}
