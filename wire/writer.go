// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/bits"
	"slices"
	"sync"

	"github.com/gizmo-ebpf/gizmo/clock"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/symbol"
	"github.com/gizmo-ebpf/gizmo/wire/internal/stackdict"
)

var _ pipeline.Sink = (*Writer)(nil)

// flushSize is the number of bytes that a Writer gathers before it writes them.
const flushSize = 64 << 10

var errClosed = errors.New("the recording is closed")

// Writer writes a recording. It is safe for use by several goroutines at once.
//
// It gathers output; Flush writes the gathered output. For a live stream, call Flush after each Write.
// Once the writer below fails, every call fails with the same error: the recording ends where that
// happened, and a Reader reports that it is cut short.
type Writer struct {
	mu        sync.Mutex
	out       io.Writer
	buf       []byte // frames that out has not got yet
	crc       uint32 // of everything so far except the checksums
	sources   []writtenSource
	lens      []int  // how many bytes of each row of the present batch are stored
	columns   []byte // the handles of the present batch
	cost      int    // of the values since the last restart
	stacks    stackdict.Encoder
	each      func(*symbol.Stack) // gets each stack; may be nil
	lastStep  clock.Step          // as readers know it
	factNames map[string]bool
	closed    bool
	err       error // after it nothing more can be written
}

// writtenSource is the writer's side of a data source.
type writtenSource struct {
	schema  *event.Schema // as in the header
	seen    *event.Schema // the schema of the last batch: the same or a copy with more added fields
	columns []writtenColumn
	total   total
}

// total counts the rows and losses of a data source in a recording.
type total struct{ rows, lost uint64 }

func (t *total) add(rows int, lost []event.Loss) {
	t.rows += uint64(rows)
	for i := range lost {
		t.lost += lost[i].Count
	}
}

// NewWriter begins a recording and writes its header to w. It does not close w.
//
// It records the columns that the header's schemas have at this time. To record rows without the results of
// stages, give it schemas without columns.
func NewWriter(w io.Writer, h Header) (*Writer, error) {
	payload, err := h.encode()
	if err != nil {
		return nil, fmt.Errorf("the header of the recording: %w", err)
	}
	rec := &Writer{
		out:      w,
		buf:      append(make([]byte, 0, flushSize), magic...),
		sources:  make([]writtenSource, len(h.DataSources)),
		lastStep: clock.Step{Offset: h.Machine.BootOffset},
	}
	for i, ds := range h.DataSources {
		rec.sources[i] = writtenSource{schema: ds.Schema, seen: ds.Schema, columns: newWrittenColumns(i, ds.Schema)}
	}
	rec.buf = append(rec.buf, Version)
	rec.crc = crc32.Checksum(rec.buf, castagnoli)
	start := rec.begin(frameHeader, len(payload))
	rec.buf = append(rec.buf, payload...)
	rec.finish(start)
	return rec, rec.flush()
}

// Reads returns the fields of s that a Writer with s in its header reads: those of its columns. It returns the same as
// Bind, for callers that need it before there is a Writer.
func Reads(s *event.Schema) event.FieldSet { return columnFields(s, recordedColumns(s)) }

// Bind implements pipeline.Sink. A Writer reads the fields of the columns that it records.
func (w *Writer) Bind(s *event.Schema) (event.FieldSet, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i, err := w.sourceOf(s)
	if err != nil {
		return event.FieldSet{}, err
	}
	return columnFields(s, recordedColumns(w.sources[i].schema)), nil
}

// Write records the rows and the losses of b. It implements pipeline.Sink, and can also be used as a
// pipeline.Func: as that of the first stage it records all events, before the filters.
// It keeps nothing of b.
//
// The schema of b must be one of the header's, or a
// copy of one that may have other added fields and further columns, which are not recorded.
//
// Write returns an error for an array that is too large for a frame (48 MiB, 1048576 rows, 2097152 handles), and for a
// batch with a handle whose values take more than 256 KiB. The recording can go on without it.
func (w *Writer) Write(b *event.Batch) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	source, err := w.sourceOf(b.Schema)
	if err != nil {
		return err
	}
	if err := w.measure(b); err != nil {
		return fmt.Errorf("recording %q: %w", b.Schema.Name, err)
	}
	return w.writeBatch(source, b)
}

// sourceOf returns the index of the data source that s describes.
func (w *Writer) sourceOf(s *event.Schema) (int, error) {
	for i := range w.sources {
		if w.sources[i].seen == s {
			return i, nil
		}
	}
	for i := range w.sources {
		if w.sources[i].schema.ID() != s.ID() {
			continue
		}
		if !sameRecord(w.sources[i].schema, s) || !sameColumns(w.sources[i].schema, s) {
			return 0, fmt.Errorf("recording %q: its schema is not the one in the header", s.Name)
		}
		w.sources[i].seen = s
		return i, nil
	}
	return 0, fmt.Errorf("recording %q: no such data source in the header", s.Name)
}

// AddStep records a step of the clock. Readers know it for the batches that follow: so record it before the first batch with an event
// from after the step. Events from before it may come at any time. AddStep refuses a step that is not later than the one before,
// and the recording can continue without it.
func (w *Writer) AddStep(step clock.Step) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	if step.Boot <= w.lastStep.Boot {
		return fmt.Errorf("recording a step of the clock at %d ns since boot: the step before was at %d", step.Boot, w.lastStep.Boot)
	}
	start := w.begin(frameStep, stepSize)
	w.buf = binary.LittleEndian.AppendUint64(w.buf, step.Boot)
	w.buf = binary.LittleEndian.AppendUint64(w.buf, uint64(step.Offset))
	w.finish(start)
	w.appendClock(step.Offset) // for readers that skip steps
	w.lastStep = step
	return nil
}

// EachStack has do called with each stack that is recorded, at least once. Call it before the first Write.
func (w *Writer) EachStack(do func(*symbol.Stack)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.each = do
}

// AddLines records lines of source of the stacks. Call it once, after the last Write. complete is false if the recording has no room for all.
func (w *Writer) AddLines(known *symbol.Lines) (complete bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return false, w.err
	}
	payloads, complete := stackdict.EncodeLines(known, maxLines)
	for _, payload := range payloads {
		start := w.begin(frameLines, len(payload))
		w.buf = append(w.buf, payload...)
		w.finish(start)
		if err := w.flush(); err != nil {
			return complete, err
		}
	}
	return complete, nil
}

// SetBootOffset records that for the following batches Unix time is boot time + ns, whatever the time of an event. It is for copies of
// recordings without the moments at which the clock was set: see AddStep.
func (w *Writer) SetBootOffset(ns int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil || ns == w.lastStep.Offset {
		return w.err
	}
	w.appendClock(ns)
	w.lastStep = clock.Step{Offset: ns}
	return nil
}

func (w *Writer) appendClock(offset int64) {
	start := w.begin(frameClock, 8)
	w.buf = binary.LittleEndian.AppendUint64(w.buf, uint64(offset))
	w.finish(start)
}

// Flush writes everything that was recorded so far.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	return w.flush()
}

// Close ends the recording and writes the rest of it. It does not close the writer below. For its readers, a
// recording that was not closed is cut short.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil
	}
	w.closed = true
	if w.err != nil {
		return w.err
	}
	w.appendEnd()
	err := w.flush()
	if err == nil {
		w.err = errClosed
	}
	w.buf, w.lens, w.columns = nil, nil, nil
	for i := range w.sources {
		w.sources[i].columns = nil
	}
	return err
}

func (w *Writer) appendEnd() {
	size := uvarintLen(uint64(len(w.sources)))
	for i := range w.sources {
		size += uvarintLen(w.sources[i].total.rows) + uvarintLen(w.sources[i].total.lost)
	}
	start := w.begin(frameEnd, size)
	w.buf = binary.AppendUvarint(w.buf, uint64(len(w.sources)))
	for i := range w.sources {
		w.buf = binary.AppendUvarint(w.buf, w.sources[i].total.rows)
		w.buf = binary.AppendUvarint(w.buf, w.sources[i].total.lost)
	}
	w.finish(start)
}

// begin appends the start of a frame and returns its place. size is the size of the payload, which
// the caller appends before finish.
func (w *Writer) begin(kind byte, size int) (start int) {
	start = len(w.buf)
	w.buf = slices.Grow(w.buf, 1+uvarintLen(uint64(size))+size+checksumSize)
	w.buf = append(w.buf, kind)
	w.buf = binary.AppendUvarint(w.buf, uint64(size))
	return start
}

// finish appends the checksum of the frame at start.
func (w *Writer) finish(start int) {
	w.crc = crc32.Update(w.crc, castagnoli, w.buf[start:])
	w.buf = binary.LittleEndian.AppendUint32(w.buf, w.crc)
}

func (w *Writer) flush() error {
	if len(w.buf) == 0 {
		return nil
	}
	n, err := w.out.Write(w.buf)
	if err == nil && n < len(w.buf) {
		err = io.ErrShortWrite
	}
	w.buf = w.buf[:0]
	if err != nil {
		w.err = fmt.Errorf("writing the recording: %w", err)
	}
	return w.err
}

func uvarintLen(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }
