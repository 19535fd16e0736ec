// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"math"

	"github.com/gizmo-ebpf/gizmo/event"
)

// Readings are counters and gauges of something that counts by itself, such as the account of a run. It is a [Reader].
type Readings struct {
	plan plan
	read func() []Reading
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
	r := &Readings{plan: plan{instruments: instruments}, read: read}
	for _, label := range labels {
		r.plan.keys = append(r.plan.keys, keyField{name: label, form: event.FormText})
	}
	return r
}

// Snapshot implements Reader.
func (r *Readings) Snapshot(dst *Snapshot) {
	*dst = Snapshot{
		Instruments: r.plan.instruments, Labels: dst.Labels[:0], plan: &r.plan, overflow: none,
		keys: dst.keys[:0], values: dst.values[:0], touched: dst.touched[:0],
	}
	for i := range r.plan.keys {
		dst.Labels = append(dst.Labels, r.plan.keys[i].name)
	}
	for _, reading := range r.read() {
		var key []byte
		for _, text := range reading.Labels {
			key = appendText(key, event.FormText, []byte(text))
		}
		dst.keys = append(dst.keys, string(key))
		dst.values = append(dst.values, reading.Values...)
		dst.touched = append(dst.touched, touch{used: true})
	}
}

// Whole returns a whole number.
func Whole(n uint64) Value { return Value{low: n} }

// Fraction returns a float, for an instrument that has these.
func Fraction(f float64) Value { return Value{low: math.Float64bits(f)} }
