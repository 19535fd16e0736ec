// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package pipeline moves batches of events from their sources through the stages to the sinks, and
// counts the events that were produced, delivered, filtered and lost.
//
// [Runner] is the engine; it moves batches between a [Source], a [Stage] and a [Sink]. Package pipelinetest
// has a suite of tests for each of the three.
package pipeline

import (
	"context"
	"errors"

	"github.com/gizmo-ebpf/gizmo/event"
)

// Source produces batches. Only one goroutine at a time may use it.
type Source interface {
	// Schemas are the data sources whose batches Next may return. Most sources have one; a
	// recording has as many as the gadget had. No two of a run have the same ID.
	Schemas() []*event.Schema
	// Next fills b, whose Schema becomes one of Schemas, and returns as soon as there is something:
	// rows, a loss, or both. The rows stay valid until the next call. Once ctx is done, Next returns
	// what is already there without waiting for more, and then io.EOF. After an error other than
	// io.EOF the source has ended, too; b then still holds what was read before the error.
	//
	// A source that wraps another passes on everything in a batch: rows, columns, losses, More.
	Next(ctx context.Context, b *event.Batch) error
	// Close releases what the source holds. Next must not be running.
	Close() error
}

// Stage works on batches between source and sink: it fills columns or removes rows. The runner calls the methods in
// the order in which they are listed here, each of them for every schema before the next.
type Stage interface {
	// Extend adds to s the fields that the stage can fill. It is called in the order of the stages, so s already
	// has the fields of the stages before.
	Extend(s *event.Schema) error
	// Reads returns the fields of s that the stage itself reads. The stages that fill these fields then do so.
	Reads(s *event.Schema) (event.FieldSet, error)
	// Bind prepares for a run in which a sink or a stage reads the fields in need. A nil Func means that the
	// stage has nothing to do for this schema.
	Bind(s *event.Schema, need event.FieldSet) (Func, error)
	// Close releases what the stage holds.
	Close() error
}

// Func is a stage bound to a schema. The runner calls it for every batch. It must not write to rows.
type Func func(b *event.Batch) error

// Emitter is a stage that also produces events: for the batches that pass it makes batches of other data
// sources.
type Emitter interface {
	Stage
	// Source returns the source of the stage's own batches, the same at each call. Its batches pass the stages after this
	// one. The context of its Next is done when all sources whose batches pass the stage have ended.
	Source() Source
}

// Sink takes batches after the last stage. Several goroutines may call Write at once, one for
// each source.
type Sink interface {
	// Bind prepares for the batches of s and returns the fields that the sink reads. It is called once for
	// each schema, before the first Write.
	Bind(s *event.Schema) (event.FieldSet, error)
	// Write delivers the rows of b. It must not keep anything of b. While b.More is set, it may put off work that
	// is cheaper for several batches at once: the runner calls it again soon, if need be with a batch without rows.
	// The rows that it put off count as delivered when a call without More has returned.
	//
	// ErrDropped stands for this batch only: the runner goes on to call Write. After any other error it does
	// not call it again.
	Write(b *event.Batch) error
}

// Late is a sink whose output takes the text or the bytes of rows after Write has returned. The sink itself counts all rows that it
// gets as delivered or lost, including those that it drops; the runner counts none of them.
type Late interface {
	Sink
	// Book says where the sink counts the rows of s. It is called once for each schema, before the first Write.
	Book(s *event.Schema, books Books)
}

// Books is where a Late sink counts the rows of one schema. Both methods may be called by any goroutine.
type Books interface {
	// Delivered counts rows that the output has taken.
	Delivered(rows int)
	// Lost counts rows that the output will not take.
	Lost(rows int, cause event.Cause)
}

// ErrGivenUp is wrapped by the error of a sink whose output has taken nothing for too long after the run was told to end.
// The rows that the sink had not delivered are lost as event.OutputSlow, and the run has not failed.
var ErrGivenUp = errors.New("the output takes nothing")

// ErrDropped is returned by a sink that has taken nothing of a batch because its output is slower
// than the events. The rows of the batch are lost, and the run goes on.
var ErrDropped = errors.New("the output is too slow")
