// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"github.com/gizmo-ebpf/gizmo/clock"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/symbol"
	"github.com/gizmo-ebpf/gizmo/wire/internal/stackdict"
)

var _ pipeline.Source = (*Reader)(nil)

// Reader reads a recording. Only one goroutine at a time may use it.
type Reader struct {
	in      input
	crc     uint32 // of everything so far except the checksums
	version byte
	header  *Header
	schemas []*event.Schema
	sources []readSource
	values  dictionaries
	facts   facts
	lines   *readLines    // nil: nobody asks for them
	clock   clock.History // sinks that write the times of earlier batches read it while Next runs
	current *event.Schema // of the batch before
	rest    rest          // of the present batch
	lens    []int         // the stored lengths of the rows of the present part
	room    []byte        // its rows that are not in a payload in memory, or need their zeros back
	err     error         // after it nothing more can be read
}

// readSource is the Reader's side of a data source.
type readSource struct {
	size    int // of its rows at least
	columns []readColumn
	total   total // what was read of it
}

// NewReader reads the header of a recording from r, and waits for it if necessary. It does not close
// r. It may read from r beyond the end of the recording.
//
// The Reader does not keep frames of more than 2 MiB in memory: it reads them twice, first for their checksum. If r is an io.ReaderAt and an
// io.Seeker that can seek, as a file can, the Reader reads r twice. Otherwise, as for a pipe, it copies such a frame to a temporary file.
func NewReader(r io.Reader) (*Reader, error) {
	rec := &Reader{in: newInput(r)}
	if err := rec.readPreamble(); err != nil {
		return nil, err
	}
	if err := rec.readHeader(); err != nil {
		return nil, err
	}
	return rec, nil
}

func (r *Reader) readPreamble() error {
	p, err := r.in.peek(preambleSize)
	if n := min(len(p), len(magic)); string(p[:n]) != magic[:n] {
		return ErrNotRecording
	}
	if err != nil {
		return r.inputError(err, "its first bytes")
	}
	if v := p[len(magic)]; v > Version {
		return fmt.Errorf("%w: format version %d, and this gizmo reads up to %d", ErrNewer, v, Version)
	} else if v == 0 {
		return r.corrupt(0, "its first bytes", errors.New("format version 0"))
	}
	r.version = p[len(magic)]
	r.crc = crc32.Checksum(p, castagnoli)
	r.in.use(len(p))
	return nil
}

func (r *Reader) readHeader() error {
	f, err := r.readFrame()
	if err != nil {
		return err
	}
	if f.kind != frameHeader {
		return r.unexpected(f)
	}
	header, descriptions, err := decodeHeader(r.version, f.payload)
	if err != nil {
		return r.corrupt(f.off, frameName(f.kind), err)
	}
	r.header = header
	r.clock.Reset(header.Machine.BootOffset)
	r.values.touched, r.values.kept = make([][]*table, 1), keptGenerations
	for i := range descriptions {
		ds, source := descriptions[i].open()
		header.DataSources = append(header.DataSources, ds)
		r.schemas = append(r.schemas, ds.Schema)
		r.sources = append(r.sources, source)
	}
	if len(r.schemas) > 0 {
		r.current = r.schemas[0]
	}
	return nil
}

// Header returns the header of the recording. Its schemas are those of Schemas. The caller must
// not change it, except for fields that stages add to the schemas.
func (r *Reader) Header() *Header { return r.header }

// Clock returns the history that converts times since boot to Unix times. It has the steps of the clock up to the last batch that Next
// returned, and gets more while Next runs.
func (r *Reader) Clock() *clock.History { return &r.clock }

// KeepValues is for callers that keep rows while Next reads on. The Reader keeps the values of their columns until the dictionaries
// begin again, at the latest after 16 MiB of values. Then Next returns a batch without rows whose Flush is set, and the call of Next after that
// forgets the values. Call KeepValues before the first Next. Without it, the Reader forgets the oldest values of a recording with very many:
// if a batch is kept while 16 MiB of other values come, its handles may then have no values any more.
func (r *Reader) KeepValues() { r.values.flush = true }

// KeepLittle makes the Reader forget what later batches do not need: values of columns that dictionaries before the last restart had, and
// the values of facts. Call it before the first Next. It is for callers that keep no batch and do not call Fact.
func (r *Reader) KeepLittle() { r.values.kept, r.facts.forget = 0, true }

// KeepLines makes the Reader keep the lines of source in the recording, which come at its end, and returns where it puts them. Call it before the first
// Next, and read them after the last.
func (r *Reader) KeepLines() *symbol.Lines {
	if r.lines == nil {
		r.lines = new(readLines)
	}
	return &r.lines.known
}

// readLines is the lines of source that a Reader has read.
type readLines struct {
	decoder stackdict.LineDecoder
	known   symbol.Lines
}

func (r *Reader) decodeLines(payload []byte) error {
	if r.lines == nil {
		return nil
	}
	return r.lines.decoder.Decode(payload, maxLines, &r.lines.known)
}

// SetTempFile replaces TempFile, which the Reader calls for the first frame that it copies. Call it before the first Next. It is for processes
// that can make no file later. The Reader closes the file.
func (r *Reader) SetTempFile(make func() (*os.File, error)) { r.in.makeCopy = make }

// Schemas returns the schemas of the recording's data sources, in the header's order.
func (r *Reader) Schemas() []*event.Schema { return r.schemas }

// Next fills b with the next batch, as it was recorded. If the batch has many or large rows, it fills b with the next part of it, so
// that the memory that it takes is bounded. At the end of a complete recording it returns
// io.EOF. Where the recording cannot be read further, it returns an error that wraps ErrTruncated, ErrCorrupt or
// ErrNewer.
//
// Once ctx is done, Next returns the batches that have arrived already, and then io.EOF. It cannot
// wake up the reader below if that waits: to stop reading a stream, cancel ctx, then close the
// stream, and Next returns io.EOF.
func (r *Reader) Next(ctx context.Context, b *event.Batch) error {
	b.Reset(r.current)
	if r.rest.rows > 0 && r.err == nil {
		if err := r.nextPart(b); err != nil {
			b.Reset(r.current)
			r.err = r.frameError(&r.rest.frame, err)
		}
		return r.err
	}
	r.values.forgetFlushed()
	for r.err == nil {
		if ctx.Err() != nil && !r.frameArrived() {
			return io.EOF
		}
		f, err := r.readFrame()
		if err == nil {
			err = r.decode(f, b)
		}
		if err == nil && (f.kind == frameBatch || b.Flush) {
			return nil
		}
		if ctx.Err() != nil && err != nil && !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNewer) {
			err = io.EOF // the stream was closed because ctx was done
		}
		r.err = err
	}
	return r.err
}

// Close releases the memory of the last batch. It does not close the reader below.
func (r *Reader) Close() error {
	r.err = errClosed
	r.in.close()
	r.rest, r.lens, r.room = rest{}, nil, nil
	return nil
}

// decode decodes a frame. It returns io.EOF for the end frame of a complete recording.
func (r *Reader) decode(f frame, b *event.Batch) error {
	var err error
	switch {
	case f.kind == frameBatch:
		err = r.decodeBatch(&f, b)
	case f.kind == frameDictionary:
		err = r.decodeDictionary(&f)
	case f.large != nil && isKnown(f.kind):
		err = fmt.Errorf("%d bytes, which is too many", f.large.size)
	case f.kind == frameClock:
		err = r.decodeClock(f.payload)
	case f.kind == frameStep:
		err = r.decodeStep(f.payload)
	case f.kind == frameRestart:
		err = r.decodeRestart(f.payload, b)
	case f.kind == frameStacks:
		err = r.decodeStacks(f.payload)
	case f.kind == frameLines:
		err = r.decodeLines(f.payload)
	case f.kind == frameFact:
		err = r.facts.decode(f.payload)
	case f.kind == frameEnd:
		if r.lines != nil {
			r.lines.decoder = stackdict.LineDecoder{} // no more will come
		}
		if err = r.checkTotals(f.payload); err == nil {
			return io.EOF
		}
	case f.kind&skippable != 0:
	default:
		return r.unexpected(f)
	}
	if err != nil {
		b.Reset(r.current)
		return r.frameError(&f, err)
	}
	return nil
}

// frameError explains why the payload of a frame with the right checksum could not be used.
func (r *Reader) frameError(f *frame, err error) error {
	if f.large != nil && f.large.err != nil && !errors.Is(f.large.err, errChanged) {
		return r.inputError(f.large.err, frameName(f.kind))
	}
	if f.large != nil && f.large.err != nil {
		err = f.large.err
	}
	return r.corrupt(f.off, frameName(f.kind), err)
}

func (r *Reader) decodeClock(payload []byte) error {
	if len(payload) != 8 {
		return fmt.Errorf("%d bytes instead of 8", len(payload))
	}
	// After a step this frame says the same for older readers. On its own it does not say when the clock was set.
	if offset := int64(binary.LittleEndian.Uint64(payload)); offset != r.clock.Last().Offset {
		r.clock.Reset(offset)
	}
	return nil
}

func (r *Reader) decodeStep(payload []byte) error {
	if len(payload) != stepSize {
		return fmt.Errorf("%d bytes instead of %d", len(payload), stepSize)
	}
	step := clock.Step{Boot: binary.LittleEndian.Uint64(payload), Offset: int64(binary.LittleEndian.Uint64(payload[8:]))}
	if last := r.clock.Last(); !r.clock.Add(step) {
		return fmt.Errorf("its time, %d ns since boot, is not after that of the step before, %d", step.Boot, last.Boot)
	}
	return nil
}

// checkTotals compares the totals of the end frame with what was read.
func (r *Reader) checkTotals(payload []byte) error {
	c := cursor{rest: payload}
	if n := c.uvarint(); c.bad || n != uint64(len(r.sources)) {
		return fmt.Errorf("totals of %d data sources instead of %d", n, len(r.sources))
	}
	for i := range r.sources {
		got := r.sources[i].total
		want := total{rows: c.uvarint(), lost: c.uvarint()}
		if got != want && !c.bad {
			return fmt.Errorf("data source %q should have %d rows and %d losses, but %d and %d were read",
				r.schemas[i].ID(), want.rows, want.lost, got.rows, got.lost)
		}
	}
	return c.finish()
}

// unexpected is the error about a frame that must not be at its place.
func (r *Reader) unexpected(f frame) error {
	if isKnown(f.kind) {
		return r.corrupt(f.off, frameName(f.kind), errors.New("it cannot be here"))
	}
	return fmt.Errorf("%w: %s at byte %d is not known to this one", ErrNewer, frameName(f.kind), f.off)
}
