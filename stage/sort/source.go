// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package sort

import (
	"context"
	"fmt"
	"time"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// source is a source whose single events come in order.
type source struct {
	streams *Streams
	inner   pipeline.Source
	reader  reader
	// arrived is set while reader.batch has rows that were not passed on or taken yet.
	arrived bool
	taken   int // rows of it
	// flush: all rows leave before the inner source is asked for more.
	flush bool
	// end is the error with which inner ended.
	end     error
	windows []*window // of the data sources to sort
	space   space     // of the windows
	turn    int       // the window that emitted last
	began   time.Time
	now     int64 // in slices since then
	timer   *time.Timer
}

func (s *source) Schemas() []*event.Schema { return s.inner.Schemas() }

func (s *source) Close() error {
	s.reader.stop()
	return s.inner.Close()
}

// Next implements pipeline.Source. It returns rows when their time has come, and losses at once.
func (s *source) Next(ctx context.Context, b *event.Batch) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	for {
		// Arrived rows are taken before any leave, and alternately with these: the buffer
		// below the inner source may be filling up.
		s.now = int64(time.Since(s.began) / s.slice())
		s.poll()
		switch {
		case s.arrived && s.pass(b), s.emit(b):
			return nil
		case s.flush:
			s.flush = false
			continue
		case s.end != nil:
			b.Reset(s.windows[0].schema)
			return s.end
		}
		s.wait()
	}
}

// begin prepares the windows, once.
func (s *source) begin(ctx context.Context) error {
	if s.windows != nil {
		return nil
	}
	var windows []*window
	s.space.limit = s.streams.o.MaxHeld
	for _, schema := range s.inner.Schemas() {
		if !s.streams.sorts(schema) {
			continue
		}
		ks := s.streams.bound[schema]
		if ks == nil {
			return fmt.Errorf("data source %q is to be sorted, but Streams was not bound to it: it must be among the stages", schema.Name)
		}
		windows = append(windows, newWindow(schema, ks, &s.space))
	}
	s.windows = windows
	s.reader.start(ctx)
	s.began = time.Now()
	s.timer = time.NewTimer(time.Hour)
	s.timer.Stop()
	return nil
}

// parts is the number of slices of a window. Events leave together with those that arrived in
// the same slice, so that they are held for at most a slice longer.
const parts = 32

func (s *source) slice() time.Duration { return s.streams.o.Window / parts }

// emit fills b with rows or losses that have to leave now, if there are any. The windows take turns.
func (s *source) emit(b *event.Batch) bool {
	final := s.flush || s.end != nil && !s.arrived
	for range s.windows {
		s.turn = (s.turn + 1) % len(s.windows)
		if s.windows[s.turn].emit(b, s.now, final) {
			return true
		}
	}
	return false
}

// mustEmit reports whether rows of a window have to leave now.
func (s *source) mustEmit(final bool) bool {
	for _, w := range s.windows {
		if w.mustGo(s.now, final) {
			return true
		}
	}
	return false
}

// pass moves rows that have arrived into their window or, if they are not sorted, to b. It reports
// whether b was filled.
func (s *source) pass(b *event.Batch) bool {
	in := &s.reader.batch
	w := s.windowOf(in.Schema)
	if w == nil {
		s.arrived = false
		b.Copy(in)
		// If the inner source has more, this source need not have more: a window may hold all of it.
		b.More = s.mustEmit(s.flush || s.end != nil)
		return true
	}
	for ; s.taken < len(in.Rows); s.taken++ {
		switch {
		case !w.isTooLong(in.Rows[s.taken]):
			if !w.add(in, s.taken, s.now) {
				s.makeRoom()
				return false
			}
		case s.space.held > 0:
			s.makeRoom()
			return false
		default:
			s.passRow(b, w)
			return true
		}
	}
	s.arrived = false
	if s.end == nil && !s.flush {
		s.reader.ask() // to read on while the caller works on the rows that leave
	}
	return false
}

// makeRoom makes rows leave: those of the window that takes up most.
func (s *source) makeRoom() {
	largest := s.windows[0]
	for _, w := range s.windows {
		if w.held > largest.held {
			largest = w
		}
	}
	largest.full = true
}

// passRow moves a row that has arrived to b. The row is valid until the inner source is asked for the next batch, after all its rows.
func (s *source) passRow(b *event.Batch, w *window) {
	in := &s.reader.batch
	b.Reset(w.schema)
	b.Rows = append(b.Rows, in.Rows[s.taken])
	for _, c := range w.columns {
		c.Fill(b)[0] = c.At(in, s.taken)
	}
	s.taken++
	b.More = s.taken < len(in.Rows)
}

func (s *source) windowOf(schema *event.Schema) *window {
	for _, w := range s.windows {
		if w.schema == schema {
			return w
		}
	}
	return nil
}

// poll takes a batch if one has arrived.
func (s *source) poll() {
	if s.arrived || s.end != nil || s.flush {
		return
	}
	select {
	case err := <-s.reader.ask():
		s.arrive(err)
	default:
	}
}

// wait returns when a batch has arrived, which happens when the source ends at the latest, or when
// rows are due.
func (s *source) wait() {
	select {
	case err := <-s.reader.ask():
		s.arrive(err)
	case <-s.alarm():
	}
}

// alarm returns a channel that fires when the next rows are due.
func (s *source) alarm() <-chan time.Time {
	next, waiting := int64(0), false
	for _, w := range s.windows {
		if due, ok := w.due(); ok && (!waiting || due < next) {
			next, waiting = due, true
		}
	}
	if !waiting {
		return nil
	}
	s.timer.Reset(time.Until(s.began.Add(time.Duration(next) * s.slice())))
	return s.timer.C
}

// arrive handles the error that Next of the inner source returned.
func (s *source) arrive(err error) {
	s.reader.answered(err)
	in := &s.reader.batch
	s.end = err
	s.flush = in.Flush
	s.arrived = len(in.Rows) > 0 || len(in.Lost) > 0 || err == nil
	s.taken = 0
	if !s.arrived {
		return
	}
	if w := s.windowOf(in.Schema); w != nil {
		w.lost = append(w.lost, in.Lost...)
	}
}
