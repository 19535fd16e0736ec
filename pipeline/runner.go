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

// Run binds the stages and moves batches until all sources are at their end, which live ones reach
// once ctx is done, or until the first error. It closes neither sources nor stages. Whatever
// happens, the ledger is complete when it returns: after an error the sources are drained, and what
// they still held is booked as lost.
func (r *Runner) Run(ctx context.Context) error {
	all, err := r.bind()
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
		wg.Go(func() { errs[i] = r.pump(producing, src, all[i], fail) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// bind prepares the lines of each source.
func (r *Runner) bind() ([]lines, error) {
	all := make([]lines, len(r.Sources))
	for i, src := range r.Sources {
		for _, s := range src.Schemas() {
			l, err := r.bindLine(s)
			if err != nil {
				return nil, fmt.Errorf("data source %q: %w", s.Name, err)
			}
			all[i] = append(all[i], l)
		}
	}
	return all, nil
}

func (r *Runner) bindLine(s *event.Schema) (*line, error) {
	l := &line{schema: s, account: r.Ledger.Account(s.Name)}
	var need event.FieldSet
	if r.Need != nil {
		need = r.Need(s)
	}
	for _, stage := range r.Stages {
		f, err := stage.Bind(s, need)
		if err != nil {
			return nil, err
		}
		if f != nil {
			l.funcs = append(l.funcs, f)
		}
	}
	return l, nil
}

// pump moves batches until the source's end. The first error ends the run for all sources; this
// one goes on to read, so that what it still holds is accounted for.
func (r *Runner) pump(ctx context.Context, src Source, lines lines, fail context.CancelCauseFunc) error {
	var b event.Batch
	var failed error
	inRow := 0 // batches since the sink was last told that there is no more
	for {
		readErr := src.Next(ctx, &b)
		inRow++
		b.More = b.More && readErr == nil && inRow < mostInRow
		if len(b.Rows) > 0 || len(b.Lost) > 0 || readErr == nil || inRow > 1 {
			l := lines.of(b.Schema)
			if failed != nil {
				l.fail(len(b.Rows))
				l.account.lose(b.Lost...)
			} else if failed = r.pass(&b, l, lines, inRow > 1); failed != nil {
				fail(failed)
			}
		}
		if !b.More || failed != nil {
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

// mostInRow bounds for how many batches a sink may put off its work, when a source always has more.
const mostInRow = 16

// pass takes one batch through stages and sink and books what became of its rows. A sink that may
// have put something off gets a batch without rows, too.
func (r *Runner) pass(b *event.Batch, l *line, all lines, putOff bool) error {
	if len(b.Lost) > 0 {
		r.lose(l, b.Lost...)
	}
	stageErr := l.refine(b)
	if len(b.Rows) > 0 || putOff || !l.schema.Single && stageErr == nil {
		if err := r.write(b, l, all); err != nil {
			return err
		}
	}
	return stageErr
}

// write hands the batch to the sink. Rows are booked when the sink has nothing left to do for them.
func (r *Runner) write(b *event.Batch, l *line, all lines) error {
	switch err := r.Sink.Write(b); {
	case errors.Is(err, ErrDropped):
		r.lose(l, event.Loss{CPU: event.NoCPU, Cause: event.OutputSlow, Count: uint64(len(b.Rows))})
	case err != nil:
		l.taken += len(b.Rows)
		all.settle((*line).fail)
		return err
	default:
		l.taken += len(b.Rows)
	}
	if !b.More {
		all.settle((*line).deliver)
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
