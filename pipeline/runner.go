// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/gizmo-ebpf/gizmo/event"
)

// Runner moves batches from sources through stages into a sink until the sources end.
type Runner struct {
	// Sources each get a goroutine of their own.
	Sources []Source
	// Stages are passed in this order.
	Stages []Stage
	// Need names the fields of a schema that somebody asked for. Nil: none.
	Need func(s *event.Schema) event.FieldSet
	Sink Sink
	// Ledger takes the account; it must not be nil.
	Ledger *Ledger
	// OnLoss, if set, is told of losses as they become known. It may be called by several goroutines.
	OnLoss func(s *event.Schema, losses []event.Loss)
	// Start, if set, begins the production of events. It is called once all stages are bound.
	Start func() error
	// Stop, if set, ends the production of events. It is called once, when ctx is done or something
	// failed and before the sources are told to drain what is left.
	Stop func()
}

// line is what batches of one schema go through.
type line struct {
	schema  *event.Schema
	funcs   []Func
	account *Account
}

// Run binds the stages and moves batches until all sources are at their end, which live ones reach
// once ctx is done, or until the first error. It closes neither sources nor stages. Whatever
// happens, the ledger is complete when it returns: after an error the sources are drained, and what
// they still held is booked as lost.
func (r *Runner) Run(ctx context.Context) error {
	lines, err := r.bind()
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

	var wg sync.WaitGroup
	errs := make([]error, len(r.Sources))
	for i, src := range r.Sources {
		wg.Go(func() { errs[i] = r.pump(producing, src, lines, fail) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (r *Runner) bind() ([]line, error) {
	var lines []line
	for _, src := range r.Sources {
		for _, s := range src.Schemas() {
			l := line{schema: s, account: r.Ledger.Account(s.Name)}
			var need event.FieldSet
			if r.Need != nil {
				need = r.Need(s)
			}
			for _, stage := range r.Stages {
				f, err := stage.Bind(s, need)
				if err != nil {
					return nil, fmt.Errorf("data source %q: %w", s.Name, err)
				}
				if f != nil {
					l.funcs = append(l.funcs, f)
				}
			}
			lines = append(lines, l)
		}
	}
	return lines, nil
}

// pump moves batches until the source's end. The first error ends the run for all sources; this
// one goes on to read, so that what it still holds is accounted for.
func (r *Runner) pump(ctx context.Context, src Source, lines []line, fail context.CancelCauseFunc) error {
	var b event.Batch
	var failed error
	for {
		readErr := src.Next(ctx, &b)
		if len(b.Rows) > 0 || len(b.Lost) > 0 || readErr == nil {
			l := lineOf(lines, b.Schema)
			if failed != nil {
				l.fail(len(b.Rows))
				l.account.lose(b.Lost...)
			} else if failed = r.pass(&b, l); failed != nil {
				fail(failed)
			}
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

func lineOf(lines []line, s *event.Schema) *line {
	for i := range lines {
		if lines[i].schema == s {
			return &lines[i]
		}
	}
	panic("pipeline: a source returned a batch of a schema that it had not declared")
}

// pass takes one batch through stages and sink and books what became of its rows.
func (r *Runner) pass(b *event.Batch, l *line) error {
	if len(b.Lost) > 0 {
		r.lose(l, b.Lost...)
	}
	for _, f := range l.funcs {
		before := len(b.Rows)
		if err := f(b); err != nil {
			l.fail(before)
			return err
		}
		l.account.filter(before - len(b.Rows))
	}
	if len(b.Rows) == 0 && l.schema.Single {
		return nil
	}
	switch err := r.Sink.Write(b); {
	case errors.Is(err, ErrDropped):
		r.lose(l, event.Loss{CPU: event.NoCPU, Cause: event.OutputSlow, Count: uint64(len(b.Rows))})
	case err != nil:
		l.fail(len(b.Rows))
		return err
	default:
		l.account.deliver(len(b.Rows))
	}
	return nil
}

// lose books losses and tells of them.
func (r *Runner) lose(l *line, losses ...event.Loss) {
	l.account.lose(losses...)
	if r.OnLoss != nil {
		r.OnLoss(l.schema, losses)
	}
}

// fail books the rows of a batch that did not get through.
func (l *line) fail(rows int) {
	if rows > 0 {
		l.account.lose(event.Loss{CPU: event.NoCPU, Cause: event.OutputFailed, Count: uint64(rows)})
	}
}
