// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"iter"
	"slices"
	"time"

	"github.com/gizmo-ebpf/gizmo/event"
)

// Snapshot is a copy of a sink's series at one moment.
type Snapshot struct {
	Source      event.SourceID
	Time        time.Time // when it was made
	Instruments []Instrument
	// Labels are the names of the key fields.
	Labels []string
	// Beyond is how many rows came that had no room for a series of their own. Their values are in the series of the overflow.
	Beyond uint64

	plan      *plan
	keys      []string
	values    []Value
	counts    []uint64
	touched   []touch
	negative  []bool
	overflow  int
	begun     uint64
	intervals uint64
}

// Series is one series of a snapshot. The slices belong to the snapshot.
type Series struct {
	// Labels are the values of the key fields: valid UTF-8. Of the overflow there are none.
	Labels   []string
	Overflow bool

	snapshot *Snapshot
	at       int
}

// gaugeIntervals is how many arrays may pass without a row before a gauge is not shown any more: its key may have gone.
const gaugeIntervals = 2

// Snapshot copies all series to dst, whose memory it uses again.
func (s *Sink) Snapshot(dst *Snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.table
	if t == nil { // it was never bound
		*dst = Snapshot{Time: s.now(), overflow: none}
		return
	}
	dst.Time = s.now()
	s.sweep(dst.Time)
	dst.Source = s.source
	t.copyTo(dst)
}

// Len returns the number of series.
func (s *Snapshot) Len() int {
	n := 0
	for i := range s.touched {
		if s.touched[i].used() {
			n++
		}
	}
	return n
}

// All returns the series, in no order that means something.
func (s *Snapshot) All() iter.Seq[Series] {
	return func(yield func(Series) bool) {
		for at := range s.touched {
			if !s.touched[at].used() {
				continue
			}
			series := Series{Overflow: at == s.overflow, snapshot: s, at: at}
			if !series.Overflow {
				series.Labels = s.plan.labels(s.keys[at])
			}
			if !yield(series) {
				return
			}
		}
	}
}

// Sorted returns the series by their labels, with the overflow at the end.
func (s *Snapshot) Sorted() []Series {
	return slices.SortedFunc(s.All(), func(a, b Series) int {
		switch {
		case a.Overflow:
			return 1
		case b.Overflow:
			return -1
		}
		return slices.Compare(a.Labels, b.Labels)
	})
}

// Value returns the value of an instrument, or the sum of a histogram. It is false for a gauge of which the last arrays have had no row.
func (s Series) Value(instrument int) (Value, bool) {
	in := &s.snapshot.Instruments[instrument]
	shown := in.Kind != Gauge || s.snapshot.intervals-s.snapshot.touched[s.at].interval <= gaugeIntervals
	return s.snapshot.values[s.at*len(s.snapshot.Instruments)+instrument], shown
}

// Buckets returns the number of values in each bucket of a histogram: one more than there are boundaries.
func (s Series) Buckets(instrument int) []uint64 {
	in := &s.snapshot.Instruments[instrument]
	if in.Kind != Histogram {
		return nil
	}
	at := s.at*s.snapshot.plan.buckets + s.snapshot.plan.values[instrument].bucket
	return s.snapshot.counts[at:][:len(in.Boundaries)+1]
}
