// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package sort

import (
	"context"
	"fmt"
	"slices"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// whole is a source that joins the parts of arrays that are to be sorted.
type whole struct {
	pipeline.Source
	streams *Streams
	open    map[*event.Schema]*parted // the arrays of which not all parts have come
	spare   *parted                   // the array that was handed out last: its memory is reused
}

// parted is an array that comes in parts.
type parted struct {
	rows    [][]byte
	blocks  [][]byte // memory of the rows
	filled  int      // blocks that have no room left
	bytes   int      // of rows, their keys and handles
	handles [][]event.Handle
	lost    []event.Loss
}

// blockSize is the size of a block, unless a row is longer.
const blockSize = 64 << 10

// Next implements pipeline.Source.
func (w *whole) Next(ctx context.Context, b *event.Batch) error {
	for {
		err := w.Source.Next(ctx, b)
		p := w.open[b.Schema]
		if err != nil || !w.streams.sortsArray(b.Schema) || p == nil && !b.Continues {
			return err
		}
		if p == nil {
			p = w.begin(b.Schema)
		}
		if err := p.add(b, w.streams.o.MaxHeld); err != nil {
			b.Reset(b.Schema)
			return err
		}
		if !b.Continues {
			p.handOut(b)
			delete(w.open, b.Schema)
			w.spare = p
			return nil
		}
	}
}

// begin returns an empty array, in the memory of the one that was handed out last.
func (w *whole) begin(s *event.Schema) *parted {
	p := w.spare
	if w.spare = nil; p == nil {
		p = new(parted)
	}
	p.rows, p.filled, p.bytes, p.lost = p.rows[:0], 0, 0, p.lost[:0]
	for i := range p.blocks {
		p.blocks[i] = p.blocks[i][:0]
	}
	p.handles = slices.Grow(p.handles[:0], len(s.Columns()))[:len(s.Columns())]
	for i := range p.handles {
		p.handles[i] = p.handles[i][:0]
	}
	w.open[s] = p
	return p
}

// add copies a part.
func (p *parted) add(b *event.Batch, limit int) error {
	columns := b.Schema.Columns()
	beside := 2*24 + 4 + 28 + 12*len(columns) // two slice headers, its index, at least its key, and its handles, which sorting copies
	for _, row := range b.Rows {
		if p.bytes += len(row) + beside; p.bytes > limit {
			return tooLarge(b.Schema, limit)
		}
		p.rows = append(p.rows, p.copy(row))
	}
	for i, c := range columns {
		for row := range b.Rows {
			p.handles[i] = append(p.handles[i], c.At(b, row))
		}
	}
	p.lost = append(p.lost, b.Lost...)
	return nil
}

// copy copies a row to a block.
func (p *parted) copy(row []byte) []byte {
	for p.filled < len(p.blocks) && cap(p.blocks[p.filled])-len(p.blocks[p.filled]) < len(row) {
		p.filled++
	}
	if p.filled == len(p.blocks) {
		p.blocks = append(p.blocks, make([]byte, 0, max(blockSize, len(row))))
	}
	block := &p.blocks[p.filled]
	start := len(*block)
	*block = append(*block, row...)
	return (*block)[start:len(*block):len(*block)]
}

// handOut makes b the whole array.
func (p *parted) handOut(b *event.Batch) {
	more := b.More
	b.Reset(b.Schema)
	b.Rows, p.rows = p.rows, b.Rows
	for i, c := range b.Schema.Columns() {
		if slices.ContainsFunc(p.handles[i], func(h event.Handle) bool { return h != 0 }) {
			copy(c.Fill(b), p.handles[i])
		}
	}
	b.Lost = append(b.Lost, p.lost...)
	b.More = more
}

// tooLarge is the error about an array whose rows and keys do not fit into the memory for sorting.
func tooLarge(s *event.Schema, limit int) error {
	return fmt.Errorf("data source %q: an array is too large to be sorted in %d MiB of memory: leave the sorting to another program", s.ID(), limit>>20)
}
