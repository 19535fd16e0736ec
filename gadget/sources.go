// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/gizmo-ebpf/gizmo/btfschema"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/hook"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/prepare"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/source"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// schemasOf returns a copy of each data source's schema with the kernel's own definitions of enums.
func schemasOf(img *image.Image, types *btf.Spec) []*event.Schema {
	schemas := make([]*event.Schema, len(img.DataSources))
	for i := range img.DataSources {
		schemas[i] = img.DataSources[i].Schema.Clone()
		btfschema.PreferEnums(schemas[i], types)
	}
	return schemas
}

// openSources makes a source of every data source, for these schemas.
func (g *Gadget) openSources(schemas []*event.Schema, o *LoadOptions) error {
	for i, schema := range schemas {
		src, err := g.openSource(&g.image.DataSources[i], schema, o)
		if err != nil {
			return fmt.Errorf("data source %q: %w", schema.Name, err)
		}
		g.sources = append(g.sources, src)
	}
	return nil
}

func (g *Gadget) openSource(d *image.DataSource, schema *event.Schema, o *LoadOptions) (pipeline.Source, error) {
	switch d.Kind {
	case image.Tracer:
		return g.openBuffer(d, schema, o)
	case image.MapIterator:
		return g.openMap(d, schema, o)
	case image.BuiltIn:
		return g.openBuiltIn(d, schema, o)
	default:
		return g.openIterators(d, schema, o)
	}
}

// openBuffer makes a source of a ring or perf buffer.
func (g *Gadget) openBuffer(d *image.DataSource, schema *event.Schema, o *LoadOptions) (pipeline.Source, error) {
	m := g.coll.Maps[d.Map]
	losses := source.Losses{Counts: g.coll.Maps[d.Map+image.LostSuffix], ByMap: g.coll.Maps[prepare.LostByMap]}
	if m.Type() == ebpf.PerfEventArray {
		return source.OpenPerf(m, o.buffersOf(g.image).PerfSize(int(m.MaxEntries())), schema, losses)
	}
	if losses.Counts == nil && losses.ByMap == nil {
		g.log.Warn("the gadget does not count the events that its buffer has no room for, so gizmo cannot report them; "+
			"the gadget was built against other headers", "data source", schema.Name)
	}
	r := source.Ring{Buffers: []*ebpf.Map{m}, Losses: losses, Schema: schema, Latency: o.Latency}
	if shards := g.shardsOf(d.Map); len(shards) > 0 {
		r.Buffers = shards
	}
	if g.image.HasVariable(prepare.WakeupVariable) {
		r.WakeBytes = prepare.WakeBytes(r.Buffers[0].MaxEntries())
	}
	return r.Open()
}

// shardsOf returns the ring buffers that a buffer is split into; none if it is not.
func (g *Gadget) shardsOf(buffer string) []*ebpf.Map {
	var shards []*ebpf.Map
	for {
		shard := g.coll.Maps[prepare.ShardName(buffer, len(shards))]
		if shard == nil {
			return shards
		}
		shards = append(shards, shard)
	}
}

// openMap makes a source of a hash map.
func (g *Gadget) openMap(d *image.DataSource, schema *event.Schema, o *LoadOptions) (pipeline.Source, error) {
	e := source.Emptied{
		Maps:     []*ebpf.Map{g.coll.Maps[d.Map]},
		Selector: g.coll.Maps[d.Map+prepare.SelectorSuffix],
		Lost:     g.coll.Maps[d.Map+image.LostSuffix],
		Schema:   schema,
		Fetch:    o.fetchOf(d),
	}
	if second := g.coll.Maps[d.Map+prepare.SecondSuffix]; second != nil {
		e.Maps = append(e.Maps, second)
	}
	return e.Open()
}

// ShowsNetworks reports whether the gadget has iterators that show one network namespace: those for which LoadOptions.NetNS is called.
func (g *Gadget) ShowsNetworks() bool {
	return slices.ContainsFunc(g.programs, func(p *image.Program) bool {
		return !hook.IsAttachable(p) && hook.ShowsOneNetwork(p.Target)
	})
}

// openIterators makes a source of iter programs. Those that are not loaded, or of which the params have
// left nothing, are left out.
func (g *Gadget) openIterators(d *image.DataSource, schema *event.Schema, o *LoadOptions) (pipeline.Source, error) {
	var ready []source.Program
	loaded := 0
	for _, name := range d.Iterators {
		p, prog := g.image.Program(name), g.coll.Programs[name]
		if prog == nil {
			continue
		}
		loaded++
		if hook.IsIdle(p, prog) {
			continue
		}
		iter, err := hook.Iterate(g.loaded, p, prog)
		if err != nil {
			for _, r := range ready {
				err = errors.Join(err, r.Iterator.Close())
			}
			return nil, g.explainIterate(p, err)
		}
		ready = append(ready, source.Program{Name: name, Scoped: hook.ShowsOneNetwork(p.Target), Iterator: iter})
	}
	if loaded == 0 {
		return nil, errors.New("all of its programs are disabled")
	}
	return source.Iterators(schema, o.fetchOf(d), ready, o.NetNS, g.lossesOf(d)...), nil
}

// lossesOf returns the counters of what had no room in the maps that the iterators of a data source walk.
func (g *Gadget) lossesOf(d *image.DataSource) []*ebpf.Map {
	found := make(map[string]*ebpf.Map)
	for _, name := range d.Iterators {
		lost := g.image.Program(name).IterMap + image.LostSuffix
		if m := g.coll.Maps[lost]; m != nil && source.CountsLosses(m) {
			found[lost] = m
		}
	}
	return slices.Collect(maps.Values(found))
}
