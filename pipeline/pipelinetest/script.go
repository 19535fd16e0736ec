// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pipelinetest

import (
	"context"
	"io"
	"time"

	"github.com/gizmo-ebpf/gizmo/event"
)

// Script is a source that plays prepared batches. It overwrites rows that are no longer valid, to catch code that
// keeps them. The zero value of each field is the simplest source.
type Script struct {
	// DataSources are the schemas of the batches.
	DataSources []*event.Schema
	Batches     []Batch
	// Live makes the source wait for the end of the context after the last batch, as a gadget's source does.
	Live bool
	// Loop makes the source start again after the last batch, until the context is done.
	Loop bool
	// Err is the error at the end; nil means io.EOF.
	Err error

	at      int // in Batches
	columns map[*event.Schema][]event.Column
	data    []byte // of the rows that are valid now
}

// Batch is a batch of a [Script].
type Batch struct {
	Schema *event.Schema
	Rows   [][]byte
	// Handles are the handles of the columns of the schema, in that order. Missing handles mean that the stage
	// found nothing about the rows.
	Handles [][]event.Handle
	Lost    []event.Loss
	More    bool
	// Wait is how long the batch takes to come. It does not come if the context ends before.
	Wait time.Duration
}

// Schemas implements pipeline.Source.
func (s *Script) Schemas() []*event.Schema { return s.DataSources }

// Close implements pipeline.Source.
func (s *Script) Close() error { return nil }

// Next implements pipeline.Source.
func (s *Script) Next(ctx context.Context, b *event.Batch) error {
	for i := range s.data {
		s.data[i] = garbage
	}
	if len(s.DataSources) > 0 {
		b.Reset(s.DataSources[0])
	}
	if s.Loop && s.at == len(s.Batches) && ctx.Err() == nil {
		s.at = 0
	}
	if s.at == len(s.Batches) {
		return s.end(ctx)
	}
	next := &s.Batches[s.at]
	if next.Wait > 0 && !wait(ctx, next.Wait) {
		s.at = len(s.Batches)
		return s.end(ctx)
	}
	s.at++
	s.play(next, b)
	return nil
}

// garbage overwrites memory that is no longer valid.
const garbage = 0xdb

// play fills b.
func (s *Script) play(next *Batch, b *event.Batch) {
	b.Reset(next.Schema)
	s.data = s.data[:0]
	for _, row := range next.Rows {
		s.data = append(s.data, row...)
	}
	at := 0
	for _, row := range next.Rows {
		end := at + len(row)
		b.Rows = append(b.Rows, s.data[at:end:end])
		at = end
	}
	for i, handles := range next.Handles {
		if handles != nil {
			copy(s.columnsOf(next.Schema)[i].Fill(b), handles)
		}
	}
	b.Lost = append(b.Lost, next.Lost...)
	b.More = next.More
}

// columnsOf returns the columns of a schema, which makes a list of them only once.
func (s *Script) columnsOf(schema *event.Schema) []event.Column {
	columns, ok := s.columns[schema]
	if !ok {
		if s.columns == nil {
			s.columns = make(map[*event.Schema][]event.Column)
		}
		columns = schema.Columns()
		s.columns[schema] = columns
	}
	return columns
}

// end is what comes after the last batch.
func (s *Script) end(ctx context.Context) error {
	if s.Live {
		<-ctx.Done()
	}
	if s.Err != nil {
		return s.Err
	}
	return io.EOF
}

// wait returns false if the context ends before.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
