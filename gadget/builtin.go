// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/source"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/stats"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// builtIn is what fills a built-in data source.
type builtIn struct {
	schema *event.Schema
	reader stats.Reader
}

// openBuiltIn makes a source of a built-in data source.
func (g *Gadget) openBuiltIn(d *image.DataSource, schema *event.Schema, o *LoadOptions) (pipeline.Source, error) {
	r, err := stats.Open(stats.Options{Kind: d.BuiltIn.Kind, GadgetsOnly: d.BuiltIn.GadgetsOnly})
	if err != nil {
		return nil, err
	}
	g.builtIns = append(g.builtIns, builtIn{schema, r})
	return source.Readings(schema, o.fetchOf(d), r), nil
}

// Ask says which fields of one of the gadget's data sources anybody reads. Built-in data sources leave others empty, if finding them out
// costs something. It must be called before the first batch; without it, all fields are filled.
func (g *Gadget) Ask(s *event.Schema, need event.FieldSet) {
	for _, b := range g.builtIns {
		if b.schema == s {
			b.reader.Ask(stats.Asked(s, need))
		}
	}
}

// Needs are the privileges that the built-in data sources of a gadget need while it runs.
type Needs = stats.Needs

// Needs returns the privileges that the gadget's built-in data sources need, for the fields that somebody reads.
func (g *Gadget) Needs() (n Needs) {
	for _, b := range g.builtIns {
		n.Add(b.reader.Needs())
	}
	return n
}
