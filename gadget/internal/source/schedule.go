// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"time"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
)

// turn says what a source of arrays has to do next.
type turn uint8

const (
	// atEnd: there will be no more arrays.
	atEnd turn = iota
	// makeArray: the next array is due.
	makeArray
	// makeLast: the run has ended, and the source has to make a last array before it ends, too.
	makeLast
)

// schedule tells a source of arrays when the next array is due. Only one goroutine may use it.
type schedule struct {
	fetch image.Fetch
	// first is the time from the first call of wait to the first array.
	first time.Duration
	// next is when the next array is due.
	next time.Time
	made int
	end  bool
}

// newSchedule returns a schedule whose first array is due at once.
func newSchedule(f image.Fetch) schedule {
	switch {
	case f.Interval == 0:
		f.Interval = image.DefaultFetchInterval
	case f.Interval < 0:
		f.Flush = true
	}
	return schedule{fetch: f}
}

// wait returns when an array is due, or ctx is done. It skips arrays that are late already, because the one
// before took longer than an interval.
func (s *schedule) wait(ctx context.Context) turn {
	switch {
	case s.end:
		return atEnd
	case s.fetch.Count > 0 && s.made >= s.fetch.Count:
		s.end = true
		return atEnd
	case ctx.Err() != nil:
		return s.last()
	case s.fetch.Interval < 0:
		<-ctx.Done()
		return s.last()
	}
	if s.next.IsZero() {
		s.next = time.Now().Add(s.first)
	}
	if !sleep(ctx, time.Until(s.next)) {
		return s.last()
	}
	s.made++
	s.next = s.next.Add(s.fetch.Interval)
	if late := time.Since(s.next); late >= 0 {
		s.next = s.next.Add(late.Truncate(s.fetch.Interval) + s.fetch.Interval)
	}
	return makeArray
}

// last ends the schedule.
func (s *schedule) last() turn {
	s.end = true
	if s.fetch.Flush {
		return makeLast
	}
	return atEnd
}

// stop ends the schedule without a last array.
func (s *schedule) stop() { s.end = true }

// sleep waits and reports whether ctx let it.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
