// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package pipeline moves batches of events from their sources through the stages to the sinks, and
// keeps the account of what was produced, delivered, filtered and lost on the way.
//
// [Runner] is the engine; [Source], [Stage] and [Sink] are what it moves batches between. Package pipelinetest
// has a suite of tests for each of the three.
package pipeline

import (
	"context"
	"errors"

	"github.com/gizmo-ebpf/gizmo/event"
)

// Source produces batches. It is used by one goroutine at a time.
type Source interface {
	// Schemas are the data sources whose batches Next may return. Most sources have one; a
	// recording has as many as the gadget had. No two of a run have the same ID.
	Schemas() []*event.Schema
	// Next fills b, whose Schema becomes one of Schemas, and returns as soon as there is something:
	// rows, a loss, or both. The rows stay valid until the next call. Once ctx is done it returns
	// what is already there without waiting for more, and then io.EOF. After an error other than
	// io.EOF the source is at its end too; b then still holds what was read before the error.
	//
	// A source that wraps another passes everything on that a batch says: rows, columns, losses, More.
	Next(ctx context.Context, b *event.Batch) error
	// Close releases what the source holds. Next must not be running.
	Close() error
}

// Stage does something to batches on their way: it fills columns or removes rows. The methods are called in
// the order in which they stand here, each of them for every schema before the next.
type Stage interface {
	// Extend adds to s the fields that the stage can fill. It is called in the order of the stages, so the
	// fields of the stages before are there.
	Extend(s *event.Schema) error
	// Reads returns the fields of s that the stage itself reads. Stages that fill them do so then.
	Reads(s *event.Schema) (event.FieldSet, error)
	// Bind prepares for a run in which the fields in need are read, by a sink or a stage. A nil Func means that the
	// stage has nothing to do for this schema.
	Bind(s *event.Schema, need event.FieldSet) (Func, error)
	// Close releases what the stage holds.
	Close() error
}

// Func is a stage bound to a schema. It is called for every batch. It does not write to rows.
type Func func(b *event.Batch) error

// Emitter is a stage that makes events of its own, too: it answers the batches that pass with batches of
// other data sources.
type Emitter interface {
	Stage
	// Source returns the source of the stage's own batches, always the same. They pass the stages behind this one. The
	// context of its Next is done when all sources have ended whose batches pass the stage.
	Source() Source
}

// Sink takes batches at the end of their way. Write may be called by several goroutines, one for
// each source.
type Sink interface {
	// Bind prepares for the batches of s and returns the fields that the sink reads. It is called once for
	// each schema, before the first Write.
	Bind(s *event.Schema) (event.FieldSet, error)
	// Write delivers the rows of b. It keeps nothing of b, but while b.More is set it may put off what is
	// cheaper to do for several batches: it is called again soon, if need be with a batch without rows.
	// What was put off counts as delivered when a call without More has returned.
	//
	// After ErrDropped, which stands for this batch alone, it goes on to be called, after any other error it
	// does not.
	Write(b *event.Batch) error
}

// Late is a sink whose output takes the text or the bytes of rows after Write has returned. It books all rows that it is given,
// those that it drops included; the runner books none of them.
type Late interface {
	Sink
	// Book says where the rows of s are booked. It is called once for each schema, before the first Write.
	Book(s *event.Schema, books Books)
}

// Books is where a Late sink books rows of one schema. Both methods may be called by any goroutine.
type Books interface {
	// Delivered books rows that the output has taken.
	Delivered(rows int)
	// Lost books rows that it will not take.
	Lost(rows int, cause event.Cause)
}

// ErrGivenUp is wrapped by the error of a sink whose output has taken nothing for too long after the run was told to end.
// What it had not delivered is lost as event.OutputSlow, and the run has not failed.
var ErrGivenUp = errors.New("the output takes nothing")

// ErrDropped is returned by a sink that has taken nothing of a batch because its output is slower
// than the events come. They are lost, and the run goes on.
var ErrDropped = errors.New("the output is too slow")
