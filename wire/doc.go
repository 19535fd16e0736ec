// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package wire is gizmo's one codec: a recording, a test fixture and the stream from another
// machine are the same bytes. They hold the schemas of a gadget's data sources, then the batches
// as they came, rows unchanged and with what was lost around them, and at the end the totals.
//
// A [Writer] is a pipeline.Sink, a [Reader] a pipeline.Source: what is replayed is what was
// recorded, batch by batch. Added fields and the columns behind them are not recorded; the stages
// of the replay fill them anew.
//
// A reader trusts nothing that it reads. Damage is reported with its place, after everything that
// came before it, and no input makes a reader use more than a bounded amount of memory: some
// 64 MiB for each of a frame and the rows restored from it.
//
// The format is described byte by byte in docs/recording-format.md.
package wire
