// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"fmt"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/container/source"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
)

// ContainersSource returns the data source of containers of a gadget that asks for it in its gadget.yaml, and its annotations;
// nil for any other gadget. A run has that data source if it has Options.Containers.
func ContainersSource(img *image.Image) (*event.Schema, *annotation.Spec, error) {
	wants, err := img.Metadata.WantsContainers()
	if err == nil && wants {
		if _, taken := img.DataSource(source.Name); taken {
			err = fmt.Errorf("the gadget asks for the data source %q, and has one of that name itself", source.Name)
		}
	}
	if err != nil || !wants {
		return nil, nil, err
	}
	return source.Schema(), source.Annotations(img.Metadata.Source(source.Name)), nil
}

// addContainersSource adds the data source of containers if the gadget asks for it.
func (p *Plan) addContainersSource(g *plannedGadget) error {
	if p.options.Containers == nil {
		return nil
	}
	s, annotations, err := ContainersSource(g.image)
	if err != nil {
		return fmt.Errorf("gadget %s: %w", g.image.Metadata.Name, err)
	}
	if s == nil {
		return nil
	}
	g.containers, s.Gadget = true, g.name
	p.schemas = append(p.schemas, s)
	p.specs[s.ID()] = annotations
	return nil
}

// openContainersSource adds the source of a gadget that has asked for it.
func (r *Run) openContainersSource(g *plannedGadget) {
	if !g.containers {
		return
	}
	c := r.options.Containers
	src := source.New(source.Options{Set: c.Set, Selector: c.Selector, Host: c.Host})
	for _, s := range src.Schemas() {
		s.Gadget = g.name
	}
	r.changes = append(r.changes, src)
	r.sources = append(r.sources, src)
}
