// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pipelinetest

import (
	"context"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// rule is one thing that a suite demands of the implementation that a case of type C describes.
type rule[C any] struct {
	name  string
	check func(t testing.TB, c C)
}

func run[C any](t *testing.T, rules []rule[C], c C) {
	t.Helper()
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) { r.check(t, c) })
	}
}

// patience is how long a call that must not wait may take.
const patience = 10 * time.Second

// next calls Next, and fails the test if it does not return.
func next(ctx context.Context, t testing.TB, src pipeline.Source, b *event.Batch) error {
	t.Helper()
	answer := make(chan error, 1)
	go func() { answer <- src.Next(ctx, b) }()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case err := <-answer:
		return err
	case <-timeout.C:
		t.Fatalf("Next has not returned for %v", patience)
		return nil
	}
}

// closing closes the source, stage or sink of a rule.
func closing(t testing.TB, c interface{ Close() error }) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// isEmpty reports whether a batch has neither rows nor losses. An empty array is not an empty batch.
func isEmpty(b *event.Batch) bool {
	return len(b.Rows) == 0 && len(b.Lost) == 0 && (b.Schema == nil || b.Schema.Single)
}

// checkShape compares the batch with its schema.
func checkShape(t testing.TB, b *event.Batch) {
	t.Helper()
	for i, row := range b.Rows {
		if len(row) < int(b.Schema.Size) {
			t.Fatalf("row %d of data source %q has %d bytes, fewer than the schema's %d", i, b.Schema.ID(), len(row), b.Schema.Size)
		}
	}
	for i, c := range b.Schema.Columns() {
		if n := len(c.Handles(b)); n != 0 && n != len(b.Rows) {
			t.Fatalf("column %d has %d handles for %d rows", i, n, len(b.Rows))
		}
	}
}
