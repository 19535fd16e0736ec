// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/internal/builtin"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/semtype"
)

// eventFlags are the flags that running a gadget and replaying a recording have in common.
type eventFlags struct {
	output outputFlags
	stages stageFlags
}

// register adds the flags; window is the default time for which single events are held to be sorted.
func (f *eventFlags) register(fs *pflag.FlagSet, window time.Duration) {
	f.output.register(fs)
	f.stages.register(fs, window)
}

// session is what running a gadget and replaying a recording have in common: data sources whose
// events go through stages to the output.
type session struct {
	app        *app
	flags      *eventFlags
	failOnLoss bool
	// dropSlow gives up events that a slow output does not take; else the sources wait for it.
	dropSlow bool

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
func (s *session) annotate(img *image.Image, entries []string) error {
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
func (s *session) check(img *image.Image, env *semtype.Env) error {
	var schemas []*event.Schema
	for i := range img.DataSources {
		schemas = append(schemas, img.DataSources[i].Schema.Clone())
	}
	trial := session{app: s.app, flags: s.flags, specs: s.specs}
	if err := trial.bindSchemas(schemas, env); err != nil {
		return err
	}
	for _, schema := range schemas {
		for _, stage := range trial.stages {
			if _, err := stage.Bind(schema, trial.needs[schema]); err != nil {
				return err
			}
		}
	}
	return nil
}

// bind composes the schemas of the sources and prepares stages and output for them.
func (s *session) bind(env *semtype.Env) error {
	var schemas []*event.Schema
	for _, src := range s.sources {
		schemas = append(schemas, src.Schemas()...)
	}
	return s.bindSchemas(schemas, env)
}

func (s *session) bindSchemas(schemas []*event.Schema, env *semtype.Env) error {
	list, err := s.flags.stages.build(schemas, s.sources)
	if err != nil {
		return err
	}
	s.stages = append(s.stages, list.stages...)
	s.out.w, s.out.gathers = s.app.Out, isFile(s.app.Out)
	s.needs = make(map[*event.Schema]event.FieldSet)
	for _, schema := range schemas {
		if err := builtin.Compose(schema, s.specs[schema.Name], env, s.stages); err != nil {
			return err
		}
		need, err := s.bindOutput(schema, schemas)
		if err != nil {
			return err
		}
		if err := list.addNeed(schema, &need); err != nil {
			return err
		}
		s.needs[schema] = need
	}
	return nil
}

// bindOutput prepares the output for a data source and returns the fields that it needs.
func (s *session) bindOutput(schema *event.Schema, all []*event.Schema) (event.FieldSet, error) {
	settings, err := s.specs[schema.Name].ParseSource()
	if err != nil {
		return event.FieldSet{}, fmt.Errorf("data source %q: %w", schema.Name, err)
	}
	format, err := s.flags.output.mode(schema, &settings, all)
	if err != nil {
		return event.FieldSet{}, err
	}
	fields, err := s.flags.output.selected(schema, format, all)
	if err != nil {
		return event.FieldSet{}, err
	}
	return s.out.bind(schema, format, fields, &settings)
}

// run moves the events until ctx is done or the sources end.
func (s *session) run(ctx context.Context) (err error) {
	if s.dropSlow && isSlow(s.app.Out) {
		var stop context.CancelFunc
		ctx, stop = context.WithCancel(ctx)
		defer stop()
		q := newQueue(s.app.Out, stop)
		s.out.w = q
		defer func() { err = cmp.Or(err, q.close()) }()
	}
	return s.runTo(ctx)
}

// runTo is run with the output prepared.
func (s *session) runTo(ctx context.Context) error {
	ledger := &pipeline.Ledger{}
	warner := newLossWarner(s.app.Err)
	runner := pipeline.Runner{
		Sources: s.sources,
		Stages:  s.stages,
		Need:    func(schema *event.Schema) event.FieldSet { return s.needs[schema] },
		Sink:    &s.out,
		Ledger:  ledger,
		OnLoss:  warner.warn,
		Start:   s.begin,
		Stop:    s.stop,
	}
	err := runner.Run(ctx)
	warner.stop()
	if isReaderGone(err) {
		return err // what it did not take is no loss to tell of
	}
	printLedger(s.app.Err, ledger, s.app.verbose)
	if err == nil && s.failOnLoss && ledger.Lost() > 0 {
		return errLost
	}
	return err
}

// begin lets the sources produce and writes what comes before the first event. A gadget that cannot
// be attached leaves no header behind.
func (s *session) begin() error {
	if s.start != nil {
		if err := s.start(); err != nil {
			return err
		}
	}
	return s.out.begin()
}
