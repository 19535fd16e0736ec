// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package sort

import (
	"fmt"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/internal/memory"
	"github.com/gizmo-ebpf/gizmo/internal/nearest"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// Streams sorts single events as they come out of their sources. Wrap wraps the sources.
//
// Streams is also one of the stages. As a stage it only learns the fields of the data sources: it can sort an event only by
// fields that are in the schema before later stages add theirs. The batches of the wrapped sources must have their columns.
type Streams struct {
	o Options
	// known is the number of fields that a schema has before stages add theirs.
	known map[*event.Schema]int
	bound map[*event.Schema]*keys
}

// NewStreams prepares for sorting single events. Arrays pass unchanged.
func NewStreams(o Options) (*Streams, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.Window == 0 {
		o.Window = DefaultWindow
	}
	o.MaxHeld = o.maxHeld(memory.Available())
	return &Streams{o: o, known: make(map[*event.Schema]int), bound: make(map[*event.Schema]*keys)}, nil
}

// Extend implements pipeline.Stage. It adds nothing.
func (s *Streams) Extend(schema *event.Schema) error {
	s.known[schema] = len(schema.Fields)
	return nil
}

// Reads implements pipeline.Stage. Fields of other stages cannot order single events; Bind returns an error for them.
func (s *Streams) Reads(schema *event.Schema) (event.FieldSet, error) {
	if !schema.Single {
		return event.FieldSet{}, nil
	}
	return s.o.reads(schema)
}

// Bind implements pipeline.Stage. It returns no Func.
func (s *Streams) Bind(schema *event.Schema, _ event.FieldSet) (pipeline.Func, error) {
	wanted := s.o.Keys[schema.ID()]
	if !schema.Single || len(wanted) == 0 {
		return nil, nil
	}
	for _, w := range wanted {
		i, err := find(schema, w.Field)
		if err != nil {
			return nil, err
		}
		if schema.Fields[i].Added && i >= s.known[schema] {
			return nil, s.tooLate(schema, w.Field)
		}
	}
	var err error
	s.bound[schema], err = bindKeys(schema, wanted)
	return nil, err
}

// tooLate is the error about a field that stages fill in after the events were sorted.
func (s *Streams) tooLate(schema *event.Schema, name string) error {
	before := event.Schema{Fields: schema.Fields[:s.known[schema]]}
	return fmt.Errorf("field %q cannot order single events, only arrays: gizmo looks it up after it has sorted single events; "+
		"sort by a field of the record or by the text of one%s", name, nearest.Hint(name, names(&before, "")))
}

// Close implements pipeline.Stage.
func (s *Streams) Close() error { return nil }

// Wrap returns a source whose single events come in order, and whose arrays come whole if they are to be sorted. If no data source of src is to be sorted,
// it returns src itself.
//
// The wrapper calls src.Next on a separate goroutine, even while the stages handle the batch before. If a stage calls a
// method of src, that method must be safe for concurrent use. Next gets the context of the first call of the wrapper's Next.
// Close waits for it and closes src.
func (s *Streams) Wrap(src pipeline.Source) pipeline.Source {
	for _, schema := range src.Schemas() {
		if s.sortsArray(schema) {
			src = &whole{Source: src, streams: s, open: make(map[*event.Schema]*parted)}
			break
		}
	}
	for _, schema := range src.Schemas() {
		if s.sorts(schema) {
			return &source{streams: s, inner: src, reader: newReader(src)}
		}
	}
	return src
}

// sortsArray reports whether the arrays of a data source are to be sorted.
func (s *Streams) sortsArray(schema *event.Schema) bool {
	return schema != nil && !schema.Single && len(s.o.Keys[schema.ID()]) > 0
}

func (s *Streams) sorts(schema *event.Schema) bool {
	return schema.Single && len(s.o.Keys[schema.ID()]) > 0
}
