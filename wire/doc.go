// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package wire is gizmo's one codec: a recording, a test fixture and the stream from another
// machine are the same bytes. They hold the schemas of the data sources of one or more gadgets, then the batches
// as they came, rows unchanged and with what was lost around them, and at the end the totals.
//
// A [Writer] is a pipeline.Sink, a [Reader] a pipeline.Source: what is replayed is what was
// recorded, batch by batch. Columns travel with the rows, and what their handles stand for is written once: a
// replay elsewhere shows what the stages of the recorded run found out. Added fields that are computed from the record
// are not recorded; a replay computes them anew.
//
// A reader trusts nothing that it reads. Damage is reported with its place, after everything that
// came before it, and no input makes a reader use more than a bounded amount of memory: some
// 64 MiB for each of a frame, the rows restored from it, and the values of columns (see [Reader.KeepValues]), and 128 MiB
// for the handles of a batch. A writer remembers which values it has written, in
// some 16 MiB at most.
//
// The format is described byte by byte in docs/recording-format.md.
package wire
