// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pipelinetest

import (
	"errors"
	"io"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// WantEnd fails the test unless the source has ended: Next returns io.EOF, also when it is called again.
func WantEnd(t testing.TB, src pipeline.Source) {
	t.Helper()
	var b event.Batch
	for range 2 {
		if err := src.Next(t.Context(), &b); !errors.Is(err, io.EOF) || len(b.Rows) > 0 {
			t.Fatalf("got %d rows and %v, want io.EOF", len(b.Rows), err)
		}
	}
}
