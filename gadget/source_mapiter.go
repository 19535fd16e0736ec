// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/hashmap"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/percpu"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/records"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/twin"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// checkIterated fails unless the map can be read as a data source of arrays.
func (img *Image) checkIterated(name string) error {
	m := img.spec.Maps[name]
	switch m.Type {
	case ebpf.Hash, ebpf.LRUHash, ebpf.PerCPUHash, ebpf.LRUCPUHash:
	default:
		return fmt.Errorf("map %q has the type %s; arrays come from a Hash, LRUHash, PerCPUHash or LRUCPUHash", name, m.Type)
	}
	if m.Key == nil || m.Value == nil {
		return fmt.Errorf("map %q: declare it with __type(key, ...) and __type(value, ...), so that its fields are known", name)
	}
	for _, d := range img.DataSources {
		if d.Kind == MapIterator && d.Map == name {
			return fmt.Errorf("map %q is that of data source %q already; an entry can be taken once only", name, d.Schema.Name)
		}
	}
	return errors.Join(checkSize(name, "key", m.Key, m.KeySize), checkSize(name, "value", m.Value, m.ValueSize))
}

// checkSize fails if a map declares another size than its type has.
func checkSize(name, what string, t btf.Type, size uint32) error {
	n, err := btf.Sizeof(t)
	if err != nil {
		return fmt.Errorf("map %q: size of the %s: %w", name, what, err)
	}
	if uint32(n) != size {
		return fmt.Errorf("map %q: its %ss have %d bytes, and the type of them %d", name, what, size, n)
	}
	return nil
}

// mapSource empties a hash map at intervals: each array is what was in it.
type mapSource struct {
	schema *event.Schema
	// maps are the one map, or the two that programs fill by turns; choice then tells which.
	maps    []*hashmap.Map
	choice  *twin.Choice
	barrier *twin.Barrier

	schedule schedule
	losses   lossCounter
	records  *records.Set
	add      func(key, value []byte)
}

// openMap makes a source of a hash map.
func (g *Gadget) openMap(d *DataSource, schema *event.Schema, o *LoadOptions) (pipeline.Source, error) {
	s := &mapSource{
		schema:   schema,
		schedule: newSchedule(o.fetchOf(d)),
		losses:   lossCounter{counts: g.coll.Maps[d.Map+lostSuffix]},
		records:  records.New(schema.Size),
	}
	s.schedule.first = s.schedule.fetch.Interval
	for _, name := range []string{d.Map, d.Map + secondSuffix} {
		m := g.coll.Maps[name]
		if m == nil {
			continue
		}
		emptied, err := hashmap.New(m)
		if err != nil {
			return nil, err
		}
		s.maps = append(s.maps, emptied)
	}
	var err error
	if s.barrier, err = twin.NewBarrier(); err != nil {
		return nil, fmt.Errorf("make a map of maps: %w", err)
	}
	if m := g.coll.Maps[d.Map+choiceSuffix]; m != nil {
		s.choice = twin.NewChoice(m, s.barrier)
	}
	s.add = s.adder(g.coll.Maps[d.Map])
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
	if s.choice == nil {
		return s.maps[0].Take(s.add)
	}
	resting, err := s.choice.Turn()
	if err != nil {
		return err
	}
	return s.maps[resting].Take(s.add)
}

// takeLast makes rows of all entries when the programs have been detached.
func (s *mapSource) takeLast() error {
	if err := s.barrier.Wait(); err != nil { // some may still be running
		return err
	}
	if s.choice == nil {
		return s.maps[0].Take(s.add)
	}
	return s.maps[s.choice.Now()].Take(s.add)
}

func (s *mapSource) Close() error { return s.barrier.Close() }
