// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"math"
	"sync"
	"time"

	"github.com/gizmo-ebpf/gizmo/event"
)

// Readings are counters and gauges of something that counts by itself, such as the account of a run. It is a [Reader].
type Readings struct {
	read func() []Reading

	mu    sync.Mutex // guards what follows
	table *table     // the last readings: a series keeps its place
	last  time.Time  // of the last snapshot
}

// Reading is one series of readings.
type Reading struct {
	// Labels are its labels' values, and Values one for each instrument, in the order in which they were given.
	Labels []string
	Values []Value
}

// NewReadings returns readings with these instruments and names of labels. No instrument is a histogram. Each snapshot calls read, which may be called by any
// goroutine.
func NewReadings(instruments []Instrument, labels []string, read func() []Reading) *Readings {
	p := &plan{instruments: instruments, values: make([]valueField, len(instruments))}
	for _, label := range labels {
		p.keys = append(p.keys, keyField{name: label, form: event.FormText})
	}
	return &Readings{read: read, table: newTable(p, math.MaxInt), last: time.Now()}
}

// Snapshot implements Reader.
func (r *Readings) Snapshot(dst *Snapshot) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t, now := r.table, time.Now()
	t.intervals++
	for _, reading := range r.read() {
		t.scratch = t.scratch[:0]
		for _, text := range reading.Labels {
			t.scratch = appendText(t.scratch, event.FormText, []byte(text))
		}
		at := t.find()
		touched := &t.touched[at]
		if !touched.used() {
			t.begin(touched, r.last)
		}
		touched.interval = t.intervals
		copy(t.values[at*len(t.plan.values):], reading.Values)
	}
	for at := range t.touched {
		if t.touched[at].used() && t.touched[at].interval != t.intervals {
			t.remove(at)
		}
	}
	t.copyTo(dst)
	dst.Time, r.last = now, now
}

// Whole returns a whole number.
func Whole(n uint64) Value { return Value{low: n} }

// Fraction returns a float, for an instrument that has these.
func Fraction(f float64) Value { return Value{low: math.Float64bits(f)} }
