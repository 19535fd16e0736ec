// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package sort

import (
	"context"
	"fmt"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// whole is a source that joins the parts of arrays that are to be sorted.
type whole struct {
	pipeline.Source
	streams *Streams
	parts   map[*event.Schema]*parted
}

// parted is an array of which not all parts have come.
type parted struct {
	data []byte // of the rows, back to back
	ends []int
	lost []event.Loss
	done bool // it was handed out: the memory can be reused
}

// Next implements pipeline.Source.
func (w *whole) Next(ctx context.Context, b *event.Batch) error {
	for {
		err := w.Source.Next(ctx, b)
		p := w.parts[b.Schema]
		if err != nil || !w.streams.sortsArray(b.Schema) || p == nil && !b.Continues {
			return err
		}
		if p == nil {
			p = &parted{}
			w.parts[b.Schema] = p
		}
		if p.done {
			if !b.Continues {
				return nil
			}
			p.data, p.ends, p.lost, p.done = p.data[:0], p.ends[:0], p.lost[:0], false
		}
		if err := p.add(b, w.streams.o.MaxHeld); err != nil {
			b.Reset(b.Schema)
			return err
		}
		if !b.Continues {
			p.handOut(b)
			return nil
		}
	}
}

func (p *parted) add(b *event.Batch, limit int) error {
	for _, row := range b.Rows {
		const beside = 8 + 2*24 + 4 + 28 // its end, two slice headers, its index, and at least its key
		if len(p.data)+len(row)+beside*(len(p.ends)+1) > limit {
			return tooLarge(b.Schema, limit)
		}
		p.data = append(p.data, row...)
		p.ends = append(p.ends, len(p.data))
	}
	p.lost = append(p.lost, b.Lost...)
	return nil
}

// handOut makes b the whole array. Columns are still empty, because stages come later.
func (p *parted) handOut(b *event.Batch) {
	more := b.More
	b.Reset(b.Schema)
	start := 0
	for _, end := range p.ends {
		b.Rows = append(b.Rows, p.data[start:end:end])
		start = end
	}
	b.Lost = append(b.Lost, p.lost...)
	b.More, p.done = more, true
}

// tooLarge is the error about an array whose rows and keys do not fit into the memory for sorting.
func tooLarge(s *event.Schema, limit int) error {
	return fmt.Errorf("data source %q: an array is too large to be sorted in %d MiB of memory: leave the sorting to another program, "+
		"or give gizmo more memory if it has less than 1 GiB", s.ID(), limit>>20)
}
