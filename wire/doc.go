// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package wire is gizmo's only codec: recordings, test fixtures and streams from other
// machines have the same format. It holds the schemas of the data sources of one or more gadgets, then the batches
// as they came, with unchanged rows and the losses around them, and at the end the totals.
//
// A [Writer] is a pipeline.Sink, a [Reader] a pipeline.Source: a replay returns the recorded batches
// one by one. Columns are recorded with the rows, and the value of each handle is written once: a
// replay elsewhere shows what the stages of the recorded run found out. Added fields that are computed from the record
// are not recorded; a replay computes them again.
//
// A reader does not trust its input. It reports damage with its place, after it has returned everything
// before it, and no input makes it use more than a bounded amount of memory: some
// 64 MiB for each of a frame, the rows restored from it, and the values of columns (see [Reader.KeepValues]), and 128 MiB
// for the handles of a batch. A writer remembers which values it has written, in
// at most some 16 MiB.
//
// The format is described byte by byte in docs/recording-format.md.
package wire
