// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/perf"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/kernel"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// perfSource reads perf buffers, for kernels before 5.8 and for objects that ask for them.
type perfSource struct {
	reader *perf.Reader
	schema *event.Schema
	rows   rows
	losses lossCounter
	record perf.Record
	// extra holds the rows that are longer than the struct, one buffer for each row of a batch.
	extra [][]byte
	watch watch
}

// OpenPerf makes a source of perf buffers of size bytes, one for each CPU that is online. Events on other CPUs
// are counted as lost.
func OpenPerf(m *ebpf.Map, size int, schema *event.Schema, lost Losses) (pipeline.Source, error) {
	losses, err := lost.counter(m)
	if err != nil {
		return nil, err
	}
	r, err := perf.NewReaderWithOptions(m, size, perf.ReaderOptions{Watermark: size / 16})
	if err != nil {
		return nil, explainPerf(err)
	}
	s := &perfSource{reader: r, schema: schema, losses: losses, rows: newRows(schema.Size)}
	s.extra = make([][]byte, s.rows.max())
	return s, nil
}

// explainPerf says which privileges opening perf buffers needs; they count as locked memory. The library keeps
// only the text of causes.
func explainPerf(err error) error {
	switch text := err.Error(); {
	case strings.HasSuffix(text, "can't create perf event: "+unix.EACCES.Error()):
		return fmt.Errorf("%w: open the perf buffers: this kernel lets only root, or CAP_SYS_ADMIN, use perf events (sysctl kernel.perf_event_paranoid): %w", kernel.ErrPrivileges, err)
	case strings.HasSuffix(text, "can't mmap: "+unix.EPERM.Error()):
		return fmt.Errorf("%w: open the perf buffers, which are locked memory: they need CAP_IPC_LOCK, a higher limit (ulimit -l), or a smaller buffer: %w", kernel.ErrPrivileges, &kernel.MemoryError{Cause: err})
	}
	return fmt.Errorf("open the perf buffers: %w", err)
}

func (s *perfSource) Schemas() []*event.Schema { return []*event.Schema{s.schema} }

func (s *perfSource) Next(ctx context.Context, b *event.Batch) error {
	if !s.watch.started() {
		s.watch.start(ctx, func() { _ = s.reader.Flush() })
	}
	b.Reset(s.schema)
	for empty := 0; ; empty++ {
		ended := ctx.Err() != nil
		if err := s.fill(b); err != nil {
			return err
		}
		var err error
		if b.Lost, err = s.losses.poll(b.Lost, ended && len(b.Rows) == 0); err != nil {
			return err
		}
		if len(b.Rows) > 0 || len(b.Lost) > 0 {
			return nil
		}
		// The first round may have ended what an earlier one had begun, before the context's end.
		if ended && empty > 0 {
			return io.EOF
		}
	}
}

// fill reads the records that are there, and waits for the latency's time if there are none.
func (s *perfSource) fill(b *event.Batch) error {
	now := time.Now()
	s.reader.SetDeadline(now.Add(DefaultLatency))
	for len(b.Rows) < s.rows.max() {
		err := s.reader.ReadInto(&s.record)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, perf.ErrFlushed):
			return nil // all buffers have been looked at
		case err != nil:
			return fmt.Errorf("read the perf buffers: %w", err)
		}
		s.take(b)
		if len(b.Rows)+len(b.Lost) == 1 {
			s.reader.SetDeadline(now) // there is something: from here on, no waiting for more
		}
	}
	return nil
}

// take makes the record a row of the batch, or a loss.
func (s *perfSource) take(b *event.Batch) {
	if n := s.record.LostSamples; n > 0 {
		// With a counter of its own the program has counted the very same losses.
		if s.losses.counts == nil {
			b.Lost = append(b.Lost, event.Loss{CPU: s.record.CPU, Cause: event.BufferFull, Count: n})
		}
		return
	}
	i, raw := len(b.Rows), s.record.RawSample
	if len(raw) <= s.rows.size {
		b.Rows = append(b.Rows, s.rows.copy(i, raw, nil))
		return
	}
	s.extra[i] = append(s.extra[i][:0], raw...)
	b.Rows = append(b.Rows, s.extra[i])
}

func (s *perfSource) Close() error {
	s.watch.stop()
	return s.reader.Close()
}
