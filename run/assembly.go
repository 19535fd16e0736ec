// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"errors"
	"fmt"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/semtype"
)

// assembly is the path of events from these data sources through the stages to the sinks.
type assembly struct {
	schemas []*event.Schema
	list    *stageList
	text    *textSink // nil: none
	sinks   []pipeline.NamedSink
}

// textName is the name of the accounts of the text output.
const textName = "text"

// MetricsName is the name of the accounts of the metrics that are exported.
const MetricsName = "metrics"

// assemble makes the path: it completes the schemas and binds the text output to them. It returns all errors at
// once. It does not use the kernel.
func assemble(o *Options, record *recording, specs specs, schemas []*event.Schema, env *semtype.Env) (*assembly, error) {
	a := &assembly{schemas: schemas}
	ids := idsOf(schemas)
	var err error
	a.list, err = newStages(o, record, ids)
	errs := []error{err}
	for _, s := range schemas {
		errs = append(errs, Compose(s, specs[s.ID()], env, a.list.stages))
	}
	if err := errors.Join(errs[1:]...); err != nil {
		return nil, errors.Join(errs...)
	}
	if o.Text != nil {
		a.text, err = newTextSink(o.Text, specs, ids)
		errs = append(errs, err, a.text.prepareLines(o, schemas))
		a.sinks = append(a.sinks, pipeline.NamedSink{Name: textName, Sink: a.text.sink()})
	}
	if o.export.HasSources() {
		a.sinks = append(a.sinks, pipeline.NamedSink{Name: MetricsName, Sink: o.export})
	}
	a.sinks = append(a.sinks, o.Sinks...)
	return a, errors.Join(errs...)
}

// check binds stages and sinks to the schemas, to find errors.
func (a *assembly) check() error {
	var errs []error
	for _, s := range a.schemas {
		var need event.FieldSet
		for _, sink := range a.sinks {
			reads, err := sink.Sink.Bind(s)
			need.AddAll(reads)
			errs = append(errs, err)
		}
		for _, stage := range a.list.stages {
			reads, err := stage.Reads(s)
			need.AddAll(reads)
			if err == nil {
				_, err = stage.Bind(s, need)
			}
			errs = append(errs, err)
		}
	}
	return joinOnce(errs)
}

// joinOnce joins errors, each message once.
func joinOnce(errs []error) error {
	seen := make(map[string]bool)
	var out []error
	for _, err := range errs {
		if err != nil && !seen[err.Error()] {
			seen[err.Error()] = true
			out = append(out, err)
		}
	}
	return errors.Join(out...)
}

func idsOf(schemas []*event.Schema) []event.SourceID {
	var ids []event.SourceID
	for _, s := range schemas {
		ids = append(ids, s.ID())
	}
	return ids
}

// specs are annotations by data source.
type specs map[event.SourceID]*annotation.Spec

// annotate adds annotations in the form of the command line, which override the others.
func (all specs) annotate(entries []string, ids []event.SourceID) error {
	var names []string
	for _, id := range ids {
		names = append(names, id.Name, id.String())
	}
	extra, err := annotation.ParseFlags(entries, names)
	if err != nil {
		return about("annotate", err)
	}
	for _, id := range ids {
		for _, name := range []string{id.Name, id.String()} {
			if spec := extra[name]; spec != nil {
				all[id] = annotation.Merge(all[id], spec)
			}
			if id.Gadget == "" {
				break // both names are the same
			}
		}
	}
	return nil
}

// settings returns the data source's own annotations, typed.
func (all specs) settings(id event.SourceID) (annotation.Source, error) {
	spec := all[id]
	if spec == nil {
		return annotation.Source{}, nil
	}
	settings, err := spec.ParseSource()
	if err != nil {
		return settings, fmt.Errorf("data source %q: %w", id, err)
	}
	return settings, nil
}
