// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package source reads the output of programs: ring and perf buffers, iterators, and maps that are
// emptied at intervals.
package source

import (
	"cmp"
	"context"
	"io"
	"time"

	"github.com/cilium/ebpf"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/ring"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// DefaultLatency limits how long an event may wait in the buffer for others.
const DefaultLatency = 20 * time.Millisecond

// Ring describes a source of ring buffers.
type Ring struct {
	// Buffers are the ring buffer, or several ring buffers that share the events.
	Buffers []*ebpf.Map
	Losses  Losses
	Schema  *event.Schema
	// WakeBytes is the number of unread bytes at which the programs wake the reader, besides for the first record after it has
	// caught up; 0: the programs leave the wake-ups to the kernel, and the reader reads each record at once.
	WakeBytes uint64
	// Latency limits how long an event may wait in the buffer for others; 0: DefaultLatency; negative: each event
	// wakes the reader.
	Latency time.Duration
}

// Open makes the source.
func (r *Ring) Open() (pipeline.Source, error) {
	losses, err := r.Losses.counter(r.Buffers[0]) // a buffer that is split has none by its id
	if err != nil {
		return nil, err
	}
	rings, err := r.open()
	if err != nil {
		return nil, err
	}
	return &ringSource{
		rings: rings, schema: r.Schema, losses: losses,
		latency: cmp.Or(r.Latency, DefaultLatency), rests: r.WakeBytes > 0 && r.Latency >= 0, wakeBytes: r.WakeBytes,
	}, nil
}

// open maps the buffers into memory.
func (r *Ring) open() (rings, error) {
	size := int(r.Buffers[0].MaxEntries())
	if len(r.Buffers) == 1 {
		one, err := ring.Open(r.Buffers[0].FD(), size)
		if err != nil {
			return nil, err
		}
		return &oneRing{Ring: one, rows: newRows(r.Schema.Size)}, nil
	}
	var fds []int
	for _, m := range r.Buffers {
		fds = append(fds, m.FD())
	}
	group, err := ring.OpenGroup(fds, size)
	if err != nil {
		return nil, err
	}
	return newShards(group, r.Schema), nil
}

// How much a batch holds at most. Beyond that the memory of the buffer should be given back first.
const (
	MaxBatchRows  = 512
	MaxBatchBytes = 256 << 10
)

// rings is the reading end of one BPF ring buffer, or of several that share a data source's
// events.
type rings interface {
	// fill releases the memory of the rows of the batch before and reads the next rows. It reports whether
	// more could be read at once.
	fill(b *event.Batch) (more bool)
	// Release releases the memory of the rows of the batch before.
	Release()
	// Trim unmaps the memory that was released.
	Trim()
	// Err returns the error after which fill cannot read any more, or nil.
	Err() error
	// Unread returns how many bytes of records fill has not read yet, those included that are being written.
	Unread() uint64
	// Ready reports whether there is a record that fill would read now.
	Ready() bool
	// Held reports whether fill has left records that were too young.
	Held() bool
	// Busy reports whether there is something that fill could not take yet.
	Busy() bool
	Wait(timeout time.Duration) error
	Wake()
	Close() error
}

// ringSource reads BPF ring buffers.
type ringSource struct {
	rings   rings
	schema  *event.Schema
	losses  lossCounter
	latency time.Duration
	// rests: after a batch with all records of the buffer, wait for the latency's time or for wakeBytes before reading again.
	// Otherwise a reader that is quicker than the programs would handle every few events as a batch of their own.
	rests     bool
	wakeBytes uint64
	state     state
	watch     watch
}

// state is what the reader of a ring buffer waits for.
type state uint8

const (
	reading state = iota // nothing: there may be more
	resting              // more events, so that it has something to do
	quiet                // an event, but only as long as losses may take to show in the counters
	idle                 // an event, for which the kernel wakes it
)

func (s *ringSource) Schemas() []*event.Schema { return []*event.Schema{s.schema} }

func (s *ringSource) Next(ctx context.Context, b *event.Batch) error {
	if !s.watch.started() {
		s.watch.start(ctx, s.rings.Wake)
	}
	b.Reset(s.schema)
	for {
		if err := s.wait(ctx); err != nil {
			return err
		}
		ended := ctx.Err() != nil // checked before reading, so that no record is missed
		s.fill(b)
		var err error
		if b.Lost, err = s.losses.poll(b.Lost, ended && len(b.Rows) == 0); err != nil {
			return err
		}
		switch {
		case len(b.Rows) > 0 || len(b.Lost) > 0:
			return nil
		case s.rings.Err() != nil:
			return s.rings.Err()
		case ended && !s.rings.Busy():
			return io.EOF
		case ended:
			time.Sleep(time.Millisecond) // a program is about to finish its record
		}
	}
}

// fill reads the next rows and decides what to wait for after them.
func (s *ringSource) fill(b *event.Batch) {
	b.More = s.rings.fill(b)
	if len(b.Rows) == 0 {
		// There may have been discarded records: unless they are released, too, the kernel does not
		// consider this reader as caught up, and would not wake it.
		b.More = s.rings.fill(b)
	}
	switch {
	case b.More:
		s.state = reading
	case len(b.Rows) > 0 && s.rests:
		s.state = resting
	case len(b.Rows) > 0:
		s.state = quiet
	case s.state == resting || s.state == reading:
		s.state = quiet
	default:
		s.state = idle
	}
}

// wait returns when it is time to look for records, or at once after the end of ctx.
func (s *ringSource) wait(ctx context.Context) error {
	if s.state == reading {
		return nil
	}
	s.rings.Release()
	switch {
	case s.state == resting:
		return s.rest(ctx)
	case s.rings.Held():
		return s.rings.Wait(TimeSlack)
	case s.rings.Ready(): // since fill has looked: the kernel did not wake a reader that had not caught up
		return nil
	}
	s.rings.Trim()
	if s.state == quiet {
		return s.rings.Wait(LossInterval)
	}
	return s.rings.Wait(-1)
}

// rest waits for the latency's time, or until enough bytes have come that they must be read. The kernel also wakes the reader for the
// first record, which can wait.
func (s *ringSource) rest(ctx context.Context) error {
	end := time.Now().Add(s.latency)
	for left := s.latency; left > 0 && ctx.Err() == nil; left = time.Until(end) {
		if err := s.rings.Wait(left); err != nil {
			return err
		}
		if s.rings.Unread() >= s.wakeBytes {
			return nil
		}
	}
	if s.rings.Unread() < calm {
		s.rings.Trim()
	}
	return nil
}

// calm is the number of unread bytes after a rest below which the source unmaps what it has read, because the kernel counts mapped memory.
// In a storm the whole buffer stays mapped: mapping 1 MiB again takes some 75 µs, the time in which gizmo reads 200 events.
const calm = 64 << 10

func (s *ringSource) Close() error {
	s.watch.stop()
	return s.rings.Close()
}

// oneRing is a ring buffer by itself.
type oneRing struct {
	*ring.Ring
	rows rows
}

func (r *oneRing) fill(b *event.Batch) bool {
	r.Release()
	r.rows.begin()
	for n := 0; len(b.Rows) < r.rows.max() && n < MaxBatchBytes; {
		head, tail, ok := r.Next()
		if !ok {
			return false
		}
		n += len(head) + len(tail)
		b.Rows = append(b.Rows, r.rows.row(len(b.Rows), head, tail))
	}
	_, _, ok := r.Peek()
	return ok
}

func (r *oneRing) Ready() bool {
	_, _, ok := r.Peek()
	return ok
}

// Held is for shards.
func (r *oneRing) Held() bool { return false }
