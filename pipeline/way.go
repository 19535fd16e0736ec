// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"errors"

	"github.com/gizmo-ebpf/gizmo/event"
)

// way is the path of the batches of one source: the stages and sinks that get them.
type way struct {
	source  Source
	schemas []*schemaWay
	ends    []*end
	onLoss  func(s *event.Schema, losses []event.Loss)
	stopped bool // a stage failed: further batches are lost
}

// schemaWay is the path of the batches of one schema.
type schemaWay struct {
	schema *event.Schema
	stages []Func
	// For each sink: its account, and the rows that it has taken and that are not counted yet.
	accounts []*Account
	taken    []int
}

// end is a sink as one source sees it.
type end struct {
	sink   Sink
	late   bool        // it counts its rows itself
	failed bool        // it must not be called again
	cause  event.Cause // why further rows are lost
}

// books are those of a sink that is Late.
type books struct {
	account *Account
	schema  *event.Schema
	onLoss  func(s *event.Schema, losses []event.Loss)
}

func (b books) Delivered(rows int) { b.account.deliver(rows) }

func (b books) Lost(rows int, cause event.Cause) {
	if rows == 0 {
		return
	}
	loss := lossBy(cause, rows)
	b.account.lose(loss...)
	if b.onLoss != nil && (cause == event.OutputSlow || cause == event.ProfileFull) {
		b.onLoss(b.schema, loss)
	}
}

func (w *way) of(s *event.Schema) *schemaWay {
	for _, sw := range w.schemas {
		if sw.schema == s {
			return sw
		}
	}
	panic("pipeline: a source returned a batch of a schema that it had not declared")
}

// pass takes one batch through stages and sinks and counts the outcome of its rows. Sinks that may
// have put work off also get a batch without rows.
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

// write hands the batch to a sink. It counts rows as delivered when the sink has nothing left to do for them.
func (w *way) write(i int, sw *schemaWay, b *event.Batch) error {
	e := w.ends[i]
	if e.failed {
		sw.accounts[i].lose(lossBy(e.cause, len(b.Rows))...)
		return nil
	}
	err := e.sink.Write(b)
	switch {
	case errors.Is(err, ErrDropped):
		loss := lossBy(event.OutputSlow, len(b.Rows))
		sw.accounts[i].lose(loss...)
		w.tell(sw.schema, loss)
	case err != nil:
		return w.end(i, sw, len(b.Rows), err)
	case !e.late:
		sw.taken[i] += len(b.Rows)
	}
	if !b.More {
		w.settle(i, (*Account).deliver)
	}
	return nil
}

// end counts the rows that a failed sink has not delivered, rows of them from its last batch, as lost. It returns the sink's
// error if the run failed because of it.
func (w *way) end(i int, sw *schemaWay, rows int, err error) error {
	e := w.ends[i]
	e.failed, e.cause = true, event.OutputFailed
	if errors.Is(err, ErrGivenUp) {
		e.cause, err = event.OutputSlow, nil
	}
	if !e.late {
		sw.taken[i] += rows
	}
	w.settle(i, func(a *Account, rows int) { a.lose(lossBy(e.cause, rows)...) })
	return err
}

// settle counts the rows of all schemas that a sink has taken.
func (w *way) settle(i int, book func(a *Account, rows int)) {
	for _, sw := range w.schemas {
		book(sw.accounts[i], sw.taken[i])
		sw.taken[i] = 0
	}
}

// lose counts and reports losses before the stages.
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
	if w.onLoss != nil && len(losses) > 0 {
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

// fail counts rows that reached no sink as lost.
func (sw *schemaWay) fail(rows int) {
	for _, a := range sw.accounts {
		a.lose(lossBy(event.OutputFailed, rows)...)
	}
}

// lossBy returns the loss of rows by a cause that does not depend on a CPU.
func lossBy(cause event.Cause, rows int) []event.Loss {
	if rows == 0 {
		return nil
	}
	return []event.Loss{{CPU: event.NoCPU, Cause: cause, Count: uint64(rows)}}
}
