// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"iter"
	"time"
)

// Change is what came to a series of a snapshot since an earlier one. A series is told apart from one that had the same labels before,
// and expired: what that one had does not count.
type Change struct {
	now, before *Snapshot // before is nil if the series is newer than that
	at          int
}

// Since returns the series of the snapshot, with their places from one on: each keeps its place as long as it lives, and the places are in
// order. The earlier snapshot is of the same sink; nil, or one that was never filled, is that of its beginning. What is only in the
// earlier snapshot has expired, and nothing came to it since. Both snapshots have to stay as they are meanwhile.
//
// Nothing is allocated for a series.
func (s *Snapshot) Since(earlier *Snapshot, place int) iter.Seq2[int, Change] {
	if earlier != nil && earlier.plan != s.plan {
		earlier = nil // the sink was bound again, and had no rows before
	}
	return func(yield func(int, Change) bool) {
		for at := place; at < len(s.touched); at++ {
			if !s.touched[at].used() {
				continue
			}
			c := Change{now: s, at: at}
			if earlier != nil && at < len(earlier.touched) && earlier.touched[at].id == s.touched[at].id {
				c.before = earlier
			}
			if !yield(at, c) {
				return
			}
		}
	}
}

// Negative reports whether a value of an instrument was negative since the sink was made.
func (s *Snapshot) Negative(instrument int) bool { return s.negative[instrument] }

// IsNew reports whether the series is not in the earlier snapshot.
func (c Change) IsNew() bool { return c.before == nil }

// ID is a number that no other series of the sink has or had. Series that began later have greater ones, up to that of [Snapshot.Begun].
func (c Change) ID() uint64 { return c.now.touched[c.at].id }

// Begun returns how many series have begun, with those that have expired since.
func (s *Snapshot) Begun() uint64 { return s.begun }

// First is when the first row of the series came.
func (c Change) First() time.Time { return time.Unix(0, c.now.touched[c.at].first) }

// Overflow reports whether the series has what is beyond the limit of series. It has no labels of its own.
func (c Change) Overflow() bool { return c.at == c.now.overflow }

// Labels yields the names and the values of the labels. A value is in scratch, if that is large enough, and valid until the next one.
func (c Change) Labels(scratch []byte) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		if c.Overflow() {
			return
		}
		key := c.now.keys[c.at]
		for i := range c.now.plan.keys {
			k := &c.now.plan.keys[i]
			scratch, key = k.appendLabel(scratch[:0], key)
			if !yield(k.name, scratch) {
				return
			}
		}
	}
}

// Value returns what a counter, or the sum of a histogram, became greater by. Of a gauge it is the last value, and false as [Series.Value] says.
func (c Change) Value(instrument int) (Value, bool) {
	value, ok := Series{snapshot: c.now, at: c.at}.Value(instrument)
	in := &c.now.Instruments[instrument]
	if c.before == nil || in.Kind == Gauge {
		return value, ok
	}
	before, _ := Series{snapshot: c.before, at: c.at}.Value(instrument)
	return value.minus(before, in), ok
}

// AppendBuckets appends how many values came to each bucket of a histogram.
func (c Change) AppendBuckets(dst []uint64, instrument int) []uint64 {
	start := len(dst)
	dst = append(dst, Series{snapshot: c.now, at: c.at}.Buckets(instrument)...)
	if c.before != nil {
		for i, n := range (Series{snapshot: c.before, at: c.at}).Buckets(instrument) {
			dst[start+i] -= n
		}
	}
	return dst
}
