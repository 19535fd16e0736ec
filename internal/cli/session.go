// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget"
	"github.com/gizmo-ebpf/gizmo/internal/builtin"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/semtype"
)

// session is what running a gadget and replaying a recording have in common: data sources whose
// events go through stages to the output.
type session struct {
	app        *app
	flags      *outputFlags
	failOnLoss bool

	// specs are the annotations by data source.
	specs   map[string]*annotation.Spec
	sources []pipeline.Source
	stages  []pipeline.Stage
	// start, if set, lets the sources produce; stop ends that.
	start func() error
	stop  func()

	out   output
	needs map[*event.Schema]event.FieldSet
}

// annotate takes the annotations of the image and those of the command line, which prevail.
func (s *session) annotate(img *gadget.Image, entries []string) error {
	s.specs = make(map[string]*annotation.Spec)
	names := make([]string, len(img.DataSources))
	for i, d := range img.DataSources {
		names[i] = d.Schema.Name
		s.specs[names[i]] = d.Annotations
	}
	extra, err := annotation.ParseFlags(entries, names)
	if err != nil {
		return fmt.Errorf("--annotate: %w", err)
	}
	for name, spec := range extra {
		s.specs[name] = annotation.Merge(s.specs[name], spec)
	}
	return nil
}

// check binds the image's data sources to formats that write nowhere, for the errors.
func (s *session) check(img *gadget.Image, env *semtype.Env) error {
	var schemas []*event.Schema
	for i := range img.DataSources {
		schemas = append(schemas, img.DataSources[i].Schema.Clone())
	}
	trial := session{app: s.app, flags: s.flags, specs: s.specs}
	return trial.bindSchemas(schemas, env)
}

// bind composes the schemas of the sources and prepares the output for them.
func (s *session) bind(env *semtype.Env) error {
	var schemas []*event.Schema
	for _, src := range s.sources {
		schemas = append(schemas, src.Schemas()...)
	}
	return s.bindSchemas(schemas, env)
}

func (s *session) bindSchemas(schemas []*event.Schema, env *semtype.Env) error {
	s.out.w = s.app.Out
	s.needs = make(map[*event.Schema]event.FieldSet)
	for _, schema := range schemas {
		if err := builtin.Compose(schema, s.specs[schema.Name], env, s.stages); err != nil {
			return err
		}
		settings, err := s.specs[schema.Name].ParseSource()
		if err != nil {
			return fmt.Errorf("data source %q: %w", schema.Name, err)
		}
		format, err := s.flags.mode(schema, &settings, schemas)
		if err != nil {
			return err
		}
		fields, err := s.flags.selected(schema, format, schemas)
		if err != nil {
			return err
		}
		if s.needs[schema], err = s.out.bind(schema, format, fields); err != nil {
			return err
		}
	}
	return nil
}

// run moves the events until ctx is done or the sources end.
func (s *session) run(ctx context.Context) error {
	ledger := &pipeline.Ledger{}
	warner := &lossWarner{w: s.app.Err}
	runner := pipeline.Runner{
		Sources: s.sources,
		Stages:  s.stages,
		Need:    func(schema *event.Schema) event.FieldSet { return s.needs[schema] },
		Sink:    &s.out,
		Ledger:  ledger,
		OnLoss:  warner.warn,
		Stop:    s.stop,
	}
	if err := s.out.begin(); err != nil {
		return err
	}
	if s.start != nil {
		if err := s.start(); err != nil {
			return err
		}
	}
	err := runner.Run(ctx)
	if errors.Is(err, syscall.EPIPE) {
		return err // the reader has gone by choice: what it did not take is no loss to tell of
	}
	printLedger(s.app.Err, ledger, s.app.verbose)
	if err == nil && s.failOnLoss && ledger.Lost() > 0 {
		return errLost
	}
	return err
}
