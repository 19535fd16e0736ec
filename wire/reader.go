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

	"github.com/gizmo-ebpf/gizmo/clock"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
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
	clock   clock.History // sinks that write the times of earlier batches read it while Next runs
	current *event.Schema // of the batch before
	rest    rest          // of the present batch
	padded  []byte        // the rows of the present part that were stored without their zeros
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
func NewReader(r io.Reader) (*Reader, error) {
	rec := &Reader{in: input{r: r}}
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
	r.values.touched = make([][]*table, 1)
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

// KeepValues makes the Reader keep all values of columns, however much memory they take. Call it
// before the first Next. Without it, the Reader forgets the oldest values of a recording with very many: if a batch is
// held back while 16 MiB of other values come, its handles may then have no values any more.
func (r *Reader) KeepValues() { r.values.keepAll = true }

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
		r.nextPart(b)
		return nil
	}
	for r.err == nil {
		if ctx.Err() != nil && !r.frameArrived() {
			return io.EOF
		}
		f, err := r.readFrame()
		if err == nil {
			err = r.decode(f, b)
		}
		if err == nil && f.kind == frameBatch {
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
	r.in.buf, r.in.pos, r.in.end = nil, 0, 0
	r.rest, r.padded = rest{}, nil
	return nil
}

// decode decodes a frame. It returns io.EOF for the end frame of a complete recording.
func (r *Reader) decode(f frame, b *event.Batch) error {
	var err error
	switch {
	case f.kind == frameBatch:
		err = r.decodeBatch(f.payload, b)
	case f.kind == frameClock:
		err = r.decodeClock(f.payload)
	case f.kind == frameStep:
		err = r.decodeStep(f.payload)
	case f.kind == frameDictionary:
		err = r.decodeDictionary(f.payload)
	case f.kind == frameRestart:
		err = r.decodeRestart(f.payload)
	case f.kind == frameFact:
		err = r.facts.decode(f.payload)
	case f.kind == frameEnd:
		if err = r.checkTotals(f.payload); err == nil {
			return io.EOF
		}
	case f.kind&skippable != 0:
	default:
		return r.unexpected(f)
	}
	if err != nil {
		b.Reset(r.current)
		return r.corrupt(f.off, frameName(f.kind), err)
	}
	return nil
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
	switch f.kind {
	case frameHeader, frameBatch, frameClock, frameStep, frameDictionary, frameRestart, frameFact, frameEnd:
		return r.corrupt(f.off, frameName(f.kind), errors.New("it cannot be here"))
	}
	return fmt.Errorf("%w: %s at byte %d is not known to this one", ErrNewer, frameName(f.kind), f.off)
}
