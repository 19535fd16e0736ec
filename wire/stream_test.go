// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/wire"
)

// stream connects a writer to a reader in another goroutine.
func stream(t *testing.T) (*wire.Writer, *wire.Reader, *io.PipeReader) {
	t.Helper()
	in, out := io.Pipe()
	t.Cleanup(func() { in.Close() })
	type opened struct {
		r   *wire.Reader
		err error
	}
	done := make(chan opened, 1)
	go func() {
		r, err := wire.NewReader(in)
		done <- opened{r, err}
	}()
	w, err := wire.NewWriter(out, exampleHeader()) // the header goes out without a Flush
	check(t, err)
	o := <-done
	check(t, o.err)
	return w, o.r, in
}

// A live stream gives each batch when it has arrived, not when its buffers are full.
func TestLiveStream(t *testing.T) {
	t.Parallel()
	w, r, _ := stream(t)
	written := exampleBatches(exampleHeader())
	var b event.Batch
	for _, batch := range written {
		done := make(chan error, 1)
		go func() { done <- errors.Join(w.Write(batch), w.Flush()) }()
		check(t, r.Next(t.Context(), &b))
		check(t, <-done)
		if got, want := describe([]event.Batch{b}), describe([]event.Batch{*batch}); got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
	go w.Close()
	if err := r.Next(t.Context(), &b); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

// Once the context is done, Next returns the batches that have arrived and then the end, without waiting.
func TestDoneContextDrains(t *testing.T) {
	t.Parallel()
	w, r, _ := stream(t)
	written := exampleBatches(exampleHeader())
	for _, batch := range written {
		check(t, w.Write(batch))
	}
	go w.Flush() // one Write to the pipe: all arrives with the first batch
	ctx, cancel := context.WithCancel(t.Context())
	var got []event.Batch
	for {
		var b event.Batch
		err := r.Next(ctx, &b)
		cancel()
		if err == io.EOF {
			break
		}
		check(t, err)
		got = append(got, event.Batch{Schema: b.Schema, Rows: b.Rows, Lost: b.Lost})
	}
	if len(got) != len(written) {
		t.Errorf("%d batches, want %d", len(got), len(written))
	}
}

// A caller ends a stream by cancelling the context and closing the stream: that is not an error.
func TestClosedStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, r, in := stream(t)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			var b event.Batch
			done <- r.Next(ctx, &b)
		}()
		synctest.Wait() // Next waits for bytes
		cancel()
		in.Close()
		if err := <-done; err != io.EOF {
			t.Errorf("Next: %v, want io.EOF", err)
		}
	})
}
