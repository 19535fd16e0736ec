// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strconv"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/host/pidns"
	"github.com/gizmo-ebpf/gizmo/internal/nearest"
	"github.com/gizmo-ebpf/gizmo/run/internal/export"
	"github.com/gizmo-ebpf/gizmo/run/internal/stacks"
	"github.com/gizmo-ebpf/gizmo/semtype"
	stage "github.com/gizmo-ebpf/gizmo/stage/container"
)

// Plan is a run that can be loaded: everything that can be checked and decided without the kernel is done.
type Plan struct {
	options Options
	specs   specs
	gadgets []plannedGadget
	schemas []*event.Schema
}

// plannedGadget is a gadget with the choices for loading it.
type plannedGadget struct {
	name  string
	image *image.Image
	load  gadget.LoadOptions
	// containers: the gadget has the data source of containers.
	containers bool
}

// NewPlan decides what a run with these options will do. It returns all errors about the options at once: errors.As
// finds an *OptionError for each. It does not use the kernel, and needs no privileges.
func NewPlan(o Options) (*Plan, error) {
	p := &Plan{options: o, specs: make(specs)}
	if err := p.addGadgets(); err != nil {
		return nil, err
	}
	ids := idsOf(p.schemas)
	var errs []error
	for i := range p.gadgets {
		errs = append(errs, p.chooseParams(i))
	}
	err := p.specs.annotate(o.Annotate, ids)
	errs = append(errs, err)
	for i := range p.gadgets {
		p.gadgets[i].load.Fetch, err = p.fetches(&p.options.Gadgets[i], p.gadgets[i].name)
		errs = append(errs, err)
	}
	o.stacks, err = p.newStacks()
	errs = append(errs, err)
	o.export, err = p.newExport()
	errs = append(errs, err)
	env := semtype.Env{Arch: runtime.GOARCH, Log: o.logger()}
	a, err := assemble(&o, nil, p.specs, p.schemas, &env)
	if errs = append(errs, err); err == nil {
		errs = append(errs, a.check())
	}
	if err := joinOnce(errs); err != nil {
		return nil, err
	}
	return p, nil
}

// newStacks prepares to name the stacks of a run.
func (p *Plan) newStacks() (*stacks.Stacks, error) {
	buildIDs := make(map[string]bool)
	for i := range p.gadgets {
		g := &p.gadgets[i]
		buildIDs[g.name], _ = g.image.Bool("collect_build_id", g.load.Params)
	}
	st, err := stacks.New(&stacks.Options{Schemas: p.schemas, BuildIDs: buildIDs, Unwind: p.options.Unwind, Log: p.options.logger()})
	return st, about("unwind", err)
}

// newExport prepares to export the metrics of a run.
func (p *Plan) newExport() (*export.Export, error) {
	scopes, err := p.exported()
	if err != nil || p.options.Metrics == nil {
		return nil, err
	}
	m := p.options.Metrics
	o := &export.Options{Limits: m.Limits, To: m.To, Own: m.Own, Log: p.options.logger()}
	for _, s := range p.schemas {
		if scope, ok := scopes[s.ID()]; ok {
			settings, _ := p.specs.settings(s.ID()) // exported reports the error
			o.Sources = append(o.Sources, export.Source{ID: s.ID(), Settings: settings.Metrics, Scope: scope})
		}
	}
	return export.New(o), nil
}

// exported returns the scopes of the data sources whose metrics are exported.
func (p *Plan) exported() (map[event.SourceID]string, error) {
	if p.options.Metrics == nil {
		return nil, nil
	}
	scopes, err := perSource(p.options.Metrics.Names, ",", idsOf(p.schemas))
	if err != nil {
		return nil, about("otel-metrics-name", err)
	}
	for i := range p.gadgets {
		g := &p.gadgets[i]
		for _, s := range p.schemas {
			settings, err := p.specs.settings(s.ID())
			if err != nil {
				return nil, err
			}
			if s.Gadget == g.name && settings.Metrics.Collect && scopes[s.ID()] == "" {
				scopes[s.ID()] = g.image.Metadata.Name
			}
		}
	}
	return scopes, nil
}

// ExportsMetrics returns the data sources whose metrics are exported, and for each the scope: the name under which that happens.
func (p *Plan) ExportsMetrics() map[event.SourceID]string {
	scopes, _ := p.exported() // NewPlan has reported the error
	return scopes
}

// Schemas returns the data sources of the run with all their fields. They must not be changed.
func (p *Plan) Schemas() []*event.Schema { return p.schemas }

// NamesContainers reports whether some events of the run say which container they are of. It is false without
// Options.Containers.
func (p *Plan) NamesContainers() bool {
	return p.options.Containers != nil && slices.ContainsFunc(p.gadgets, func(g plannedGadget) bool {
		return g.containers || p.namesContainers(g.name)
	})
}

// FollowsContainers reports whether the run needs to know the containers of this machine: to name them in events, or to attach programs for the
// packets of their networks. It is false without Options.Containers.
func (p *Plan) FollowsContainers() bool {
	return p.options.Containers != nil && slices.ContainsFunc(p.gadgets, func(g plannedGadget) bool {
		return g.containers || p.followsContainers(&g)
	})
}

// followsContainers reports whether programs of a gadget get attached in containers.
func (p *Plan) followsContainers(g *plannedGadget) bool {
	return p.namesContainers(g.name) || p.options.Containers != nil && gadget.SeesPackets(g.image, &g.load)
}

// namesContainers reports whether some events of a gadget say which container they are of.
func (p *Plan) namesContainers(gadget string) bool {
	return p.options.Containers != nil && slices.ContainsFunc(p.schemas, func(s *event.Schema) bool {
		return s.Gadget == gadget && stage.FindsContainers(s)
	})
}

// addGadgets lists the gadgets and their data sources.
func (p *Plan) addGadgets() error {
	if len(p.options.Gadgets) == 0 {
		return errors.New("there is no gadget to run")
	}
	names := make(map[string]bool)
	for _, g := range p.options.Gadgets {
		name := ""
		if len(p.options.Gadgets) > 1 {
			if name = g.Name; name == "" || names[name] {
				return fmt.Errorf("gadget %q: each gadget of a run with several gadgets needs its own name", g.Image.Metadata.Name)
			}
			names[name] = true
		}
		planned := plannedGadget{name: name, image: g.Image, load: g.Load}
		values, _ := paramValues(g.Image, g.Params) // chooseParams reports the error
		for _, d := range g.Image.SourcesWith(values) {
			s := d.Schema.Clone()
			s.Gadget = name
			p.schemas = append(p.schemas, s)
			p.specs[s.ID()] = d.Annotations
		}
		if err := p.addContainersSource(&planned); err != nil {
			return err
		}
		if len(g.Image.DataSources) == 0 && !planned.containers {
			return fmt.Errorf("gadget %s has no data source: nothing to show", g.Image.Metadata.Name)
		}
		p.gadgets = append(p.gadgets, planned)
	}
	return nil
}

// chooseParams sets the params of a gadget, and the annotations that depend on them.
func (p *Plan) chooseParams(i int) error {
	g := &p.gadgets[i]
	var err error
	if g.load.Params, err = paramValues(g.image, p.options.Gadgets[i].Params); err != nil {
		return err
	}
	var errs []error
	for _, s := range p.schemas {
		if s.Gadget == g.name {
			errs = append(errs, p.chooseFrequency(g, s.ID()))
		}
	}
	return errors.Join(errs...)
}

// chooseFrequency makes the frequency of a profile that of the samples, if a param says how often to sample. Recordings then have the number, too.
func (p *Plan) chooseFrequency(g *plannedGadget, id event.SourceID) error {
	settings, err := p.specs.settings(id)
	if err != nil || settings.Profile.FrequencyParam == "" {
		return nil // assemble reports the error
	}
	variable := settings.Profile.FrequencyParam
	frequency, err := g.image.Frequency(variable, g.load.Params)
	if err != nil {
		if param, ok := g.image.Param(variable); ok {
			return about(param.Key, err)
		}
		return fmt.Errorf("gadget.yaml: data source %q: %s: %w", id, annotation.FrequencyParamKey, err)
	}
	extra := &annotation.Spec{}
	extra.SetSource(annotation.FrequencyKey, strconv.FormatUint(frequency, 10))
	p.specs[id] = annotation.Merge(p.specs[id], extra)
	return nil
}

// paramValues returns the values of params by their variables.
func paramValues(img *image.Image, texts map[string]string) (map[string]image.Value, error) {
	values := make(map[string]image.Value)
	var errs []error
	var keys []string
	for i := range img.Params {
		p := &img.Params[i]
		keys = append(keys, p.Key)
		text, given := texts[p.Key]
		switch {
		case !given && p.Mandatory:
			errs = append(errs, about(p.Key, fmt.Errorf("the gadget needs a value (%s)", p.Description)))
		case given:
			v, err := p.Parse(text)
			errs = append(errs, err)
			values[p.Var] = v
		}
	}
	for key := range texts {
		if _, ok := img.Param(key); !ok {
			errs = append(errs, fmt.Errorf("gadget %s has no param %q%s", img.Metadata.Name, key, nearest.Hint(key, keys)))
		}
	}
	return values, errors.Join(errs...)
}

// numberParams are the variables of <gadget/filter.h> that hold the id of a process or thread.
var numberParams = [...]string{"targ_pid", "targ_tid"}

// kernelNumbers returns the values of params with the host's ids of processes and threads, which BPF programs see,
// in place of the ids in gizmo's own pid namespace, which the user sees.
func (p *Plan) kernelNumbers(values map[string]image.Value) (map[string]image.Value, error) {
	ns, err := pidns.Own()
	if err != nil {
		p.options.logger().Debug("cannot find out the pid namespace: gizmo takes the given process ids for those of the host", "error", err)
		return values, nil
	}
	if ns.IsInitial() {
		return values, nil
	}
	p.options.logger().Warn("gizmo runs in a pid namespace: the events have the host's process and thread ids")
	values = maps.Clone(values)
	var errs []error
	for _, variable := range numberParams {
		v, given := values[variable]
		if !given || len(v) != 4 {
			continue
		}
		number, err := ns.Thread(binary.LittleEndian.Uint32(v))
		errs = append(errs, err)
		values[variable] = binary.LittleEndian.AppendUint32(nil, number)
	}
	return values, errors.Join(errs...)
}
