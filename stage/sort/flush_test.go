// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package sort_test

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/stage/sort"
)

// flushing is a source that asks for its rows to be let out after every second batch.
type flushing struct {
	schemas   []*event.Schema
	keys      []uint64 // of the rows to come, one a batch
	batches   int
	served    int
	delivered *atomic.Int64 // rows
	missing   int           // rows that were not delivered when all should have been
}

func (s *flushing) Schemas() []*event.Schema { return s.schemas }
func (s *flushing) Close() error             { return nil }

func (s *flushing) Next(_ context.Context, b *event.Batch) error {
	s.batches++
	if s.batches%3 == 1 {
		s.missing += s.served - int(s.delivered.Load())
	}
	b.Reset(s.schemas[s.batches%2])
	if s.batches%3 == 0 {
		b.Flush = true
		return nil
	}
	b.Reset(s.schemas[0])
	if len(s.keys) == 0 {
		return io.EOF
	}
	b.Rows = append(b.Rows, pair(s.keys[0], uint64(s.served)))
	s.keys = s.keys[1:]
	s.served++
	return nil
}

// All rows have left before the source is asked for more, if it wants that, and their order holds among those between two such moments.
func TestStreamsFlush(t *testing.T) {
	t.Parallel()
	var delivered atomic.Int64
	inner := &flushing{
		schemas: []*event.Schema{pairSchema("ds", true), pairSchema("other", true)}, delivered: &delivered,
		keys: []uint64{9, 7, 3, 5, 8, 1, 4, 4, 6},
	}
	src := wrap(t, inner, sort.Options{Window: time.Hour})
	defer src.Close()
	key, err := inner.schemas[0].ReaderOf("key")
	check(t, err)
	var got []byte
	var b event.Batch
	for {
		err := src.Next(t.Context(), &b)
		for row := range b.Rows {
			got = key.Append(got, &b, row)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		check(t, err)
		delivered.Add(int64(len(b.Rows)))
	}
	if want := "793518446"; string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if inner.missing > 0 {
		t.Errorf("the source was asked for more while %d rows were held", inner.missing)
	}
}
