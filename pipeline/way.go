// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"errors"

	"github.com/gizmo-ebpf/gizmo/event"
)

// way is what the batches of one source go through.
type way struct {
	source  Source
	schemas []*schemaWay
	ends    []*end
	onLoss  func(s *event.Schema, losses []event.Loss)
	stopped bool // a stage failed: what comes is lost
}

// schemaWay is what the batches of one schema go through.
type schemaWay struct {
	schema *event.Schema
	stages []Func
	// For each sink: its account, and the rows that it has taken and that are not booked yet.
	accounts []*Account
	taken    []int
}

// end is a sink as one source sees it.
type end struct {
	sink   Sink
	failed bool // it must not be called again
}

func (w *way) of(s *event.Schema) *schemaWay {
	for _, sw := range w.schemas {
		if sw.schema == s {
			return sw
		}
	}
	panic("pipeline: a source returned a batch of a schema that it had not declared")
}

// pass takes one batch through stages and sinks and books what became of its rows. Sinks that may
// have put something off get a batch without rows, too.
func (w *way) pass(b *event.Batch, putOff bool) error {
	sw := w.of(b.Schema)
	w.lose(sw, b.Lost)
	if w.stopped {
		sw.fail(len(b.Rows))
		return nil
	}
	stageErr := sw.runStages(b)
	w.stopped = stageErr != nil
	if len(b.Rows) == 0 && !putOff && (sw.schema.Single || stageErr != nil) {
		return stageErr
	}
	failed := stageErr
	for i := range w.ends {
		if err := w.write(i, sw, b); err != nil {
			failed = errors.Join(failed, err)
		}
	}
	return failed
}

// write hands the batch to a sink. Rows are booked when the sink has nothing left to do for them.
func (w *way) write(i int, sw *schemaWay, b *event.Batch) error {
	if w.ends[i].failed {
		sw.accounts[i].lose(failure(len(b.Rows))...)
		return nil
	}
	switch err := w.ends[i].sink.Write(b); {
	case errors.Is(err, ErrDropped):
		loss := []event.Loss{{CPU: event.NoCPU, Cause: event.OutputSlow, Count: uint64(len(b.Rows))}}
		sw.accounts[i].lose(loss...)
		w.tell(sw.schema, loss)
	case err != nil:
		w.ends[i].failed = true
		sw.taken[i] += len(b.Rows)
		w.settle(i, func(a *Account, rows int) { a.lose(failure(rows)...) })
		return err
	default:
		sw.taken[i] += len(b.Rows)
	}
	if !b.More {
		w.settle(i, (*Account).deliver)
	}
	return nil
}

// settle books what a sink has taken of all schemas.
func (w *way) settle(i int, book func(a *Account, rows int)) {
	for _, sw := range w.schemas {
		book(sw.accounts[i], sw.taken[i])
		sw.taken[i] = 0
	}
}

// lose books what was lost before the stages and tells of it.
func (w *way) lose(sw *schemaWay, losses []event.Loss) {
	if len(losses) == 0 {
		return
	}
	for _, a := range sw.accounts {
		a.lose(losses...)
	}
	w.tell(sw.schema, losses)
}

func (w *way) tell(s *event.Schema, losses []event.Loss) {
	if w.onLoss != nil {
		w.onLoss(s, losses)
	}
}

// runStages runs the stages. After an error the batch is empty.
func (sw *schemaWay) runStages(b *event.Batch) error {
	for _, f := range sw.stages {
		before := len(b.Rows)
		if err := f(b); err != nil {
			sw.fail(before)
			b.Reset(b.Schema)
			return err
		}
		if gone := before - len(b.Rows); gone > 0 {
			for _, a := range sw.accounts {
				a.filter(gone)
			}
		}
	}
	return nil
}

// fail books rows that got through to no sink.
func (sw *schemaWay) fail(rows int) {
	for _, a := range sw.accounts {
		a.lose(failure(rows)...)
	}
}

// failure is the loss of rows by an error.
func failure(rows int) []event.Loss {
	if rows == 0 {
		return nil
	}
	return []event.Loss{{CPU: event.NoCPU, Cause: event.OutputFailed, Count: uint64(rows)}}
}
