// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/gizmo-ebpf/gizmo/event"
)

// Runner moves batches from sources through stages into sinks until the sources end.
type Runner struct {
	// Sources each get their own goroutine, and so do the sources of stages that are Emitters.
	Sources []Source
	// Stages get each batch in this order. The caller has called their Extend for the schemas of all sources.
	Stages []Stage
	// Sinks each get all batches, one sink after the other. An error of a sink ends the run.
	Sinks []NamedSink
	// Ledger holds the accounts of the sinks; it must not be nil.
	Ledger *Ledger
	// Ask, if set, is called for each data source with the fields that a sink or a stage reads, before Start: a source need not find out others.
	Ask func(s *event.Schema, need event.FieldSet)
	// OnLoss, if set, is called with losses as they become known: once for losses before the stages, once for each sink for
	// losses of sinks. Several goroutines may call it at once.
	OnLoss func(s *event.Schema, losses []event.Loss)
	// Start, if set, begins the production of events. It is called once all stages and sinks are bound.
	Start func() error
	// Stop, if set, ends the production of events. It is called once, when ctx is done or something
	// failed, and before the sources are told to drain their buffers.
	Stop func()
}

// NamedSink is a sink and the name of its account.
type NamedSink struct {
	Name string
	Sink Sink
}

// Run binds sinks and stages and moves batches until all sources have ended (live sources end
// once ctx is done), or until the first error. It closes neither sources nor stages. The ledger is always
// complete when Run returns: after an error it drains the sources, and counts the events that
// they still held as lost.
func (r *Runner) Run(ctx context.Context) error {
	ways, err := r.bind()
	if err != nil {
		return err
	}
	if r.Start != nil {
		if err := r.Start(); err != nil {
			return err
		}
	}
	running, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	producing, drain := context.WithCancel(context.WithoutCancel(ctx))
	defer drain()
	stopped := context.AfterFunc(running, func() {
		if r.Stop != nil {
			r.Stop()
		}
		drain()
	})
	defer stopped()
	return r.pumpAll(ways, producing, fail)
}

// pumpAll moves the batches of all sources. It tells the source of a stage to end when the sources before it have ended.
func (r *Runner) pumpAll(ways []*way, producing context.Context, fail context.CancelCauseFunc) error {
	errs := make([]error, len(ways))
	ended := make([]chan struct{}, len(ways))
	for i, w := range ways {
		ended[i] = make(chan struct{})
		ctx := producing
		if i >= len(r.Sources) {
			inner, end := context.WithCancel(context.WithoutCancel(producing))
			ctx = inner
			go func() {
				wait(ended[:i])
				end()
			}()
		}
		go func() {
			defer close(ended[i])
			errs[i] = w.pump(ctx, fail)
		}()
	}
	wait(ended)
	return errors.Join(errs...)
}

func wait(all []chan struct{}) {
	for _, c := range all {
		<-c
	}
}

// bind prepares the path of each source: first the sinks and the stages say what they read, then the stages are bound.
func (r *Runner) bind() ([]*way, error) {
	var ways []*way
	for _, src := range r.Sources {
		w, err := r.bindSource(src, r.Stages)
		if err != nil {
			return nil, err
		}
		ways = append(ways, w)
	}
	for i, stage := range r.Stages {
		emitter, ok := stage.(Emitter)
		if !ok {
			continue
		}
		w, err := r.bindSource(emitter.Source(), r.Stages[i+1:])
		if err != nil {
			return nil, err
		}
		ways = append(ways, w)
	}
	return ways, nil
}

func (r *Runner) bindSource(src Source, stages []Stage) (*way, error) {
	w := &way{source: src, onLoss: r.OnLoss}
	for _, sink := range r.Sinks {
		_, late := sink.Sink.(Late)
		w.ends = append(w.ends, &end{sink: sink.Sink, late: late})
	}
	for _, s := range src.Schemas() {
		sw, err := r.bindSchema(s, stages)
		if err != nil {
			return nil, fmt.Errorf("data source %q: %w", s.ID(), err)
		}
		w.schemas = append(w.schemas, sw)
	}
	return w, nil
}

func (r *Runner) bindSchema(s *event.Schema, stages []Stage) (*schemaWay, error) {
	sw := &schemaWay{schema: s, taken: make([]int, len(r.Sinks))}
	need, err := r.needOf(s, stages)
	if err != nil {
		return nil, err
	}
	if r.Ask != nil {
		r.Ask(s, need)
	}
	for _, stage := range stages {
		f, err := stage.Bind(s, need)
		if err != nil {
			return nil, err
		}
		if f != nil {
			sw.stages = append(sw.stages, f)
		}
	}
	for _, sink := range r.Sinks {
		account := r.Ledger.Account(s.ID(), sink.Name)
		sw.accounts = append(sw.accounts, account)
		if late, ok := sink.Sink.(Late); ok {
			late.Book(s, books{account, s, r.OnLoss})
		}
	}
	return sw, nil
}

// needOf returns the fields of s that a sink or a stage reads.
func (r *Runner) needOf(s *event.Schema, stages []Stage) (event.FieldSet, error) {
	var need event.FieldSet
	for _, sink := range r.Sinks {
		reads, err := sink.Sink.Bind(s)
		if err != nil {
			return need, err
		}
		need.AddAll(reads)
	}
	for _, stage := range stages {
		reads, err := stage.Reads(s)
		if err != nil {
			return need, err
		}
		need.AddAll(reads)
	}
	return need, nil
}

// pump moves batches until the source's end. The first error ends the run for all sources; pump
// goes on to read, so that the ledger counts what the source still holds.
func (w *way) pump(ctx context.Context, fail context.CancelCauseFunc) error {
	var b event.Batch
	var failed error
	inRow := 0 // batches since the last one without More
	for {
		readErr := w.source.Next(ctx, &b)
		inRow++
		b.More = b.More && readErr == nil && inRow < mostInRow
		if len(b.Rows) > 0 || len(b.Lost) > 0 || readErr == nil || inRow > 1 {
			if err := w.pass(&b, inRow > 1); err != nil {
				failed = errors.Join(failed, err)
				fail(err)
			}
		}
		if !b.More {
			inRow = 0
		}
		switch {
		case errors.Is(readErr, io.EOF):
			return failed
		case readErr != nil:
			fail(readErr)
			return errors.Join(failed, readErr)
		}
	}
}

// mostInRow limits for how many batches a sink may put off its work if a source always has more.
const mostInRow = 16
