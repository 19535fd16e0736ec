// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package wiretest makes recordings for the tests of other packages, and reads them.
package wiretest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/wire"
)

// Record returns a recording of one batch with the rows.
func Record(t testing.TB, s *event.Schema, rows ...[]byte) []byte {
	t.Helper()
	h := wire.Header{DataSources: []wire.DataSource{{Schema: s}}}
	return RecordBatches(t, h, &event.Batch{Schema: s, Rows: rows})
}

// RecordBatches returns a recording of the batches.
func RecordBatches(t testing.TB, h wire.Header, batches ...*event.Batch) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := wire.NewWriter(&out, h)
	for _, b := range batches {
		if err == nil {
			err = w.Write(b)
		}
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatalf("recording: %v", err)
	}
	return out.Bytes()
}

// Reader returns a reader of the recording.
func Reader(t testing.TB, recording []byte) *wire.Reader {
	t.Helper()
	r, err := wire.NewReader(bytes.NewReader(recording))
	if err != nil {
		t.Fatalf("reading a recording: %v", err)
	}
	return r
}

// ReadAll returns copies of all batches that src gives, and the error that ended them; nil for
// io.EOF.
func ReadAll(src pipeline.Source) ([]event.Batch, error) {
	var all []event.Batch
	var b event.Batch
	for {
		err := src.Next(context.Background(), &b)
		if err == nil || len(b.Rows) > 0 || len(b.Lost) > 0 {
			all = append(all, clone(&b))
		}
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
	}
}

func clone(b *event.Batch) event.Batch {
	var c event.Batch
	c.Copy(b)
	for i, row := range c.Rows {
		c.Rows[i] = bytes.Clone(row)
	}
	return c
}
