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

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

var _ pipeline.Sink = (*Writer)(nil)

// flushSize is the number of bytes that a Writer gathers before it writes them out.
const flushSize = 64 << 10

var errClosed = errors.New("the recording is closed")

// Writer writes a recording. It is safe for use by several goroutines at once.
//
// It gathers output; Flush writes out what there is. For a live stream, call it after each Write.
// Once the writer below fails, every call fails with the same error: the recording ends where that
// happened, and a Reader will say so.
type Writer struct {
	mu         sync.Mutex
	out        io.Writer
	buf        []byte // frames that out has not got yet
	crc        uint32 // of everything so far but the checksums
	sources    []writtenSource
	lens       []int // how many bytes of each row of the present batch are stored
	bootOffset int64
	closed     bool
	err        error // why nothing more can be written
}

// writtenSource is the writer's side of a data source.
type writtenSource struct {
	schema *event.Schema // as in the header
	seen   *event.Schema // the last that a batch came with: the same or a copy with more added fields
	total  total
}

// total counts what a recording holds of a data source.
type total struct{ rows, lost uint64 }

func (t *total) add(rows int, lost []event.Loss) {
	t.rows += uint64(rows)
	for i := range lost {
		t.lost += lost[i].Count
	}
}

// NewWriter begins a recording and writes its header to w. It does not close w.
func NewWriter(w io.Writer, h Header) (*Writer, error) {
	payload, err := h.encode()
	if err != nil {
		return nil, fmt.Errorf("the header of the recording: %w", err)
	}
	rec := &Writer{
		out:        w,
		buf:        append(make([]byte, 0, flushSize), magic...),
		sources:    make([]writtenSource, len(h.DataSources)),
		bootOffset: h.Machine.BootOffset,
	}
	for i, ds := range h.DataSources {
		rec.sources[i] = writtenSource{schema: ds.Schema, seen: ds.Schema}
	}
	rec.buf = append(rec.buf, Version)
	rec.crc = crc32.Checksum(rec.buf, castagnoli)
	start := rec.begin(frameHeader, len(payload))
	rec.buf = append(rec.buf, payload...)
	rec.finish(start)
	return rec, rec.flush()
}

// Bind implements pipeline.Sink. A recording holds rows as they are; fields that stages fill are not read.
func (w *Writer) Bind(s *event.Schema) (event.FieldSet, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err := w.sourceOf(s)
	return event.FieldSet{}, err
}

// Write records the rows of b and what was lost. It is a pipeline.Sink's method and fits as a
// pipeline.Func too: as that of the first stage it records what came, before anything is filtered.
// It keeps nothing of b.
//
// The schema of b must be one of the header's, or a
// copy of one that may have other added fields.
//
// An array that is too large for a frame (48 MiB or 1048576 rows) is refused, and the recording can
// go on without it.
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
		if !sameRecord(w.sources[i].schema, s) {
			return 0, fmt.Errorf("recording %q: its schema is not the one in the header", s.Name)
		}
		w.sources[i].seen = s
		return i, nil
	}
	return 0, fmt.Errorf("recording %q: no such data source in the header", s.Name)
}

// sameRecord says whether the records of a and b look alike.
func sameRecord(a, b *event.Schema) bool {
	n := recordFields(a)
	if a.Single != b.Single || a.Size != b.Size || n != recordFields(b) {
		return false
	}
	for i := range n {
		x, y := &a.Fields[i], &b.Fields[i]
		if x.Name != y.Name || x.Kind != y.Kind || x.Off != y.Off || x.Size != y.Size {
			return false
		}
	}
	return true
}

// measure fills w.lens and refuses what no reader would take.
func (w *Writer) measure(b *event.Batch) error {
	w.lens = slices.Grow(w.lens[:0], len(b.Rows))[:len(b.Rows)]
	for i, row := range b.Rows {
		if len(row) > maxRow {
			return fmt.Errorf("a row of %d bytes, and %d is the most", len(row), maxRow)
		}
		w.lens[i] = storedLen(row, int(b.Schema.Size))
	}
	if len(b.Lost) > maxLosses {
		return fmt.Errorf("a batch with %d losses, and %d is the most", len(b.Lost), maxLosses)
	}
	for _, l := range b.Lost {
		if l.CPU < event.NoCPU || l.CPU >= maxCPUs {
			return fmt.Errorf("a loss on CPU %d", l.CPU)
		}
	}
	if b.Schema.Single {
		return nil
	}
	if n, _ := fit(w.lens, int(b.Schema.Size)); n < len(b.Rows) {
		return fmt.Errorf("an array of %d rows is too large for a frame", len(b.Rows))
	}
	return nil
}

// storedLen returns how many bytes of row are stored: all of a row that is longer than its struct,
// of any other those before the zeros at its end.
func storedLen(row []byte, size int) int {
	n := len(row)
	if n > size {
		return n
	}
	for n >= 32 && isZero32(row[n-32:n]) {
		n -= 32
	}
	for n >= 8 && binary.LittleEndian.Uint64(row[n-8:n]) == 0 {
		n -= 8
	}
	for n > 0 && row[n-1] == 0 {
		n--
	}
	return n
}

func isZero32(p []byte) bool {
	_ = p[31]
	return binary.LittleEndian.Uint64(p)|binary.LittleEndian.Uint64(p[8:])|
		binary.LittleEndian.Uint64(p[16:])|binary.LittleEndian.Uint64(p[24:]) == 0
}

// fit returns how many of the rows with the stored lengths lens go into one frame, and how many
// bytes the lengths and the rows take there.
func fit(lens []int, size int) (n, encoded int) {
	restored := 0
	for _, stored := range lens {
		restored += max(stored, size)
		if restored > maxBatchData || n == maxBatchRows {
			break
		}
		encoded += uvarintLen(uint64(stored)) + stored
		n++
	}
	return n, encoded
}

// writeBatch writes b, whose rows are measured: as one frame, or as several if it is too large and
// its rows are events of their own.
func (w *Writer) writeBatch(source int, b *event.Batch) error {
	rows, lens, lost := b.Rows, w.lens, b.Lost
	if b.Schema.Single && len(rows) == 0 && len(lost) == 0 {
		return nil
	}
	for {
		n, encoded := fit(lens, int(b.Schema.Size))
		w.appendBatch(source, rows[:n], lens[:n], encoded, lost)
		w.sources[source].total.add(n, lost)
		if len(w.buf) >= flushSize {
			if err := w.flush(); err != nil {
				return err
			}
		}
		rows, lens, lost = rows[n:], lens[n:], nil
		if len(rows) == 0 {
			return nil
		}
	}
}

func (w *Writer) appendBatch(source int, rows [][]byte, lens []int, encoded int, lost []event.Loss) {
	size := uvarintLen(uint64(source)) + uvarintLen(uint64(len(lost))) + uvarintLen(uint64(len(rows))) + encoded
	for _, l := range lost {
		size += uvarintLen(uint64(l.CPU+1)) + 1 + uvarintLen(l.Count)
	}
	start := w.begin(frameBatch, size)
	buf := binary.AppendUvarint(w.buf, uint64(source))
	buf = binary.AppendUvarint(buf, uint64(len(lost)))
	for _, l := range lost {
		buf = binary.AppendUvarint(buf, uint64(l.CPU+1))
		buf = append(buf, byte(l.Cause))
		buf = binary.AppendUvarint(buf, l.Count)
	}
	buf = binary.AppendUvarint(buf, uint64(len(rows)))
	for _, n := range lens {
		buf = binary.AppendUvarint(buf, uint64(n))
	}
	for i, row := range rows {
		buf = append(buf, row[:lens[i]]...)
	}
	w.buf = buf
	w.finish(start)
}

// SetBootOffset records that from now on Unix time is boot time + ns.
func (w *Writer) SetBootOffset(ns int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil || ns == w.bootOffset {
		return w.err
	}
	w.bootOffset = ns
	start := w.begin(frameClock, 8)
	w.buf = binary.LittleEndian.AppendUint64(w.buf, uint64(ns))
	w.finish(start)
	return nil
}

// Flush writes out everything that was recorded so far.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	return w.flush()
}

// Close ends the recording and writes it out. It does not close the writer below. A recording that
// was not closed is one that was cut short, to its readers.
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
	w.buf, w.lens = nil, nil
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

// begin appends the start of a frame and returns where it lies. size is that of the payload, which
// the caller appends before finish.
func (w *Writer) begin(kind byte, size int) (start int) {
	start = len(w.buf)
	w.buf = slices.Grow(w.buf, 1+uvarintLen(uint64(size))+size+checksumSize)
	w.buf = append(w.buf, kind)
	w.buf = binary.AppendUvarint(w.buf, uint64(size))
	return start
}

// finish appends the checksum of the frame that lies at start.
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
