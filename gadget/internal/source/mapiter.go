// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"fmt"
	"io"

	"github.com/cilium/ebpf"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/alternate"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/hashmap"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/percpu"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/records"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// mapSource empties a hash map at intervals: each array consists of the entries that were in it.
type mapSource struct {
	schema *event.Schema
	// maps are the one map, or the two that programs fill alternately; selector then says which one they fill.
	maps     []*hashmap.Map
	selector *alternate.Selector
	barrier  *alternate.Barrier

	schedule schedule
	losses   lossCounter
	records  *records.Set
	add      func(key, value []byte)
}

// Emptied describes a source that empties a map at intervals.
type Emptied struct {
	// Maps are the one map, or the two that programs fill alternately; Selector then says which one they fill.
	Maps     []*ebpf.Map
	Selector *ebpf.Map
	// Lost counts the lost events for each CPU; nil if the gadget does not count them.
	Lost   *ebpf.Map
	Schema *event.Schema
	Fetch  image.Fetch
}

// Open makes the source.
func (e *Emptied) Open() (pipeline.Source, error) {
	s := &mapSource{
		schema:   e.Schema,
		schedule: newSchedule(e.Fetch),
		losses:   lossCounter{counts: e.Lost},
		records:  records.New(e.Schema.Size),
	}
	s.schedule.first = s.schedule.fetch.Interval
	for _, m := range e.Maps {
		emptied, err := hashmap.New(m)
		if err != nil {
			return nil, err
		}
		s.maps = append(s.maps, emptied)
	}
	var err error
	if s.barrier, err = alternate.NewBarrier(); err != nil {
		return nil, fmt.Errorf("make a map of maps: %w", err)
	}
	if e.Selector != nil {
		s.selector = alternate.NewSelector(e.Selector, s.barrier)
	}
	s.add = s.adder(e.Maps[0])
	return s, nil
}

// adder returns the function that makes a row of an entry.
func (s *mapSource) adder(m *ebpf.Map) func(key, value []byte) {
	keySize, valueSize := m.KeySize(), int(m.ValueSize())
	if s.maps[0].ValueSize() == valueSize {
		return func(key, value []byte) {
			row := s.records.Next()
			copy(row[copy(row, key):], value)
		}
	}
	plan := percpu.New(s.schema, keySize, hashmap.PerCPU(valueSize))
	return func(key, values []byte) {
		row := s.records.Next()
		plan.Merge(row[copy(row, key):], values)
	}
}

func (s *mapSource) Schemas() []*event.Schema { return []*event.Schema{s.schema} }

func (s *mapSource) Next(ctx context.Context, b *event.Batch) error {
	b.Reset(s.schema)
	take := s.take
	switch s.schedule.wait(ctx) {
	case atEnd:
		return io.EOF
	case makeLast:
		take = s.takeLast
	}
	s.records.Reset()
	err := take()
	if err == nil {
		b.Lost, err = s.losses.poll(b.Lost, true)
	}
	b.Rows = s.records.AppendRows(b.Rows)
	if err != nil {
		s.schedule.stop()
		return fmt.Errorf("data source %q: %w", s.schema.Name, err)
	}
	return nil
}

// take makes rows of all entries while programs go on.
func (s *mapSource) take() error {
	if s.selector == nil {
		return s.maps[0].Take(s.add)
	}
	unused, err := s.selector.Switch()
	if err != nil {
		return err
	}
	return s.maps[unused].Take(s.add)
}

// takeLast makes rows of all entries when the programs have been detached.
func (s *mapSource) takeLast() error {
	if err := s.barrier.Wait(); err != nil { // some programs may still be running
		return err
	}
	if s.selector == nil {
		return s.maps[0].Take(s.add)
	}
	return s.maps[s.selector.Now()].Take(s.add)
}

func (s *mapSource) Close() error { return s.barrier.Close() }
