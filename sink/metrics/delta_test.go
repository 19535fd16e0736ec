// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"
)

// changes lists what came since a snapshot: place, labels, whether the series is new, and each value.
func changes(now, before *Snapshot, from int) (all []string) {
	for place, c := range now.Since(before, from) {
		text := fmt.Sprint(place)
		if c.Overflow() {
			text += " overflow"
		}
		for name, value := range c.Labels(make([]byte, 0, 64)) {
			text += fmt.Sprintf(" %s=%s", name, value)
		}
		if c.IsNew() {
			text += " new"
		}
		for i := range now.Instruments {
			in := &now.Instruments[i]
			value, ok := c.Value(i)
			if !ok {
				text += " -"
				continue
			}
			text += " " + string(value.Append(nil, in))
			if in.Kind == Histogram {
				text += fmt.Sprint(c.AppendBuckets(nil, i))
			}
		}
		all = append(all, text)
	}
	return all
}

func check(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n\t%q\nwant\n\t%q", got, want)
	}
}

// What came between two snapshots is the difference, for each kind of metric; since the beginning it is all.
func TestSince(t *testing.T) {
	t.Parallel()
	s := newSchema(true)
	sink, _ := bound(t, s, Options{})
	var first, second, third Snapshot
	sink.Snapshot(&first)
	check(t, changes(&first, nil, 0))
	write(t, sink, batchOf(s, row{comm: "cat", pid: 7, retries: math.MaxUint64, delta: 3, window: 5, latency: 2, slots: [6]uint32{1}}))
	sink.Snapshot(&second)
	since := []string{"0 comm=cat pid=7 new 3 18446744073709551615 5 2[0 1 0] 1[1 0 0 0 0 0 0] 1"}
	check(t, changes(&second, &first, 0), since...)
	check(t, changes(&second, nil, 0), since...)
	check(t, changes(&second, new(Snapshot), 0), since...)
	write(t, sink, batchOf(s, row{comm: "cat", pid: 7, retries: math.MaxUint64, delta: -9, window: 4, latency: 0.5, slots: [6]uint32{0, 2}},
		row{comm: "dog", pid: 8, retries: 1}))
	sink.Snapshot(&third)
	dog := "1 comm=dog pid=8 new 0 1 0 0[1 0 0] 0[0 0 0 0 0 0 0] 1"
	check(t, changes(&third, &second, 0), "0 comm=cat pid=7 -9 18446744073709551615 4 0.5[1 0 0] 4[0 2 0 0 0 0 0] 1", dog)
	check(t, changes(&third, &second, 1), dog)
	check(t, changes(&third, &second, 2))
	check(t, changes(&third, &third, 0), "0 comm=cat pid=7 0 0 4 0[0 0 0] 0[0 0 0 0 0 0 0] 0", "1 comm=dog pid=8 0 0 0 0[0 0 0] 0[0 0 0 0 0 0 0] 0")
	check(t, []string{fmt.Sprint(third.Negative(deltas), third.Negative(retries), third.Negative(latency))}, "true false false")
}

// A series that expired and came back starts anew, also in the place of another one, or where it was, with a greater value. So does the overflow.
func TestSinceExpiry(t *testing.T) {
	t.Parallel()
	s := newSchema(true)
	for i := range s.Fields {
		if i > 3 {
			s.Fields[i].Types, s.Fields[i].Ann.Metric = nil, nil
		}
	}
	s.Fields[2].Ann.Metric = nil
	sink, clock := bound(t, s, Options{MaxSeries: 2, Expiry: time.Minute})
	write(t, sink, batchOf(s, row{pid: 1, retries: 5}, row{pid: 2, retries: 6}, row{pid: 3, retries: 7}))
	var before, now Snapshot
	sink.Snapshot(&before)
	check(t, changes(&before, nil, 0), "0 comm= pid=1 new 5 1", "1 comm= pid=2 new 6 1", "2 overflow new 7 1")
	*clock = clock.Add(50 * time.Second)
	write(t, sink, batchOf(s, row{pid: 2, retries: 1}))
	*clock = clock.Add(50 * time.Second)
	sink.Snapshot(&now)
	check(t, changes(&now, &before, 0), "1 comm= pid=2 1 1")
	write(t, sink, batchOf(s, row{pid: 1, retries: 9}, row{pid: 4, retries: 20}))
	sink.Snapshot(&now)
	got := changes(&now, &before, 0)
	slices.Sort(got)
	check(t, got, "0 overflow new 20 1", "1 comm= pid=2 1 1", "2 comm= pid=1 new 9 1")
	for _, c := range now.Since(&before, 0) {
		want := *clock
		if !c.IsNew() {
			want = clock.Add(-100 * time.Second)
		}
		if !c.First().Equal(want) {
			t.Errorf("new %v: the first row came at %v, want %v", c.IsNew(), c.First(), want)
		}
	}
	if !now.Time.Equal(*clock) {
		t.Errorf("the snapshot is of %v", now.Time)
	}
}

// A sink that is bound again begins anew.
func TestSinceOtherPlan(t *testing.T) {
	t.Parallel()
	s := newSchema(true)
	sink, _ := bound(t, s, Options{})
	var before, now Snapshot
	sink.Snapshot(&before)
	if _, err := sink.Bind(s); err != nil {
		t.Fatal(err)
	}
	write(t, sink, batchOf(s, row{retries: 2}))
	sink.Snapshot(&now)
	if got := changes(&now, &before, 0); len(got) != 1 || got[0] != "0 comm= pid=0 new 0 2 0 0[1 0 0] 0[0 0 0 0 0 0 0] 1" {
		t.Errorf("got %q", got)
	}
}

// The walk over the series allocates nothing for one of them.
func TestSinceAllocatesNothing(t *testing.T) {
	s := newSchema(true)
	sink, _ := bound(t, s, Options{})
	for pid := range uint32(1000) {
		write(t, sink, batchOf(s, row{comm: "cat", pid: pid, retries: 1}))
	}
	var before, now Snapshot
	sink.Snapshot(&before)
	sink.Snapshot(&now)
	scratch, buckets := make([]byte, 0, 64), make([]uint64, 0, 64)
	series := 0
	n := testing.AllocsPerRun(10, func() {
		for _, c := range now.Since(&before, 0) {
			series++
			for range c.Labels(scratch) {
				series += 0
			}
			for i := range now.Instruments {
				_, _ = c.Value(i)
				buckets = c.AppendBuckets(buckets[:0], i)
			}
		}
	})
	if series != 11_000 || n > 10 {
		t.Errorf("%d series, %v allocations", series, n)
	}
}

// Readings keep their places, in whatever order they are read, and what goes and comes back is new.
func TestSinceReadings(t *testing.T) {
	t.Parallel()
	var readings []Reading
	r := NewReadings([]Instrument{{Name: "runs"}, {Name: "size", Kind: Gauge}}, []string{"program"}, func() []Reading { return readings })
	add := func(program string, runs, size uint64) {
		readings = append(readings, Reading{Labels: []string{program}, Values: []Value{Whole(runs), Whole(size)}})
	}
	var before, now Snapshot
	add("a", 5, 1)
	add("b", 6, 2)
	r.Snapshot(&before)
	check(t, changes(&before, nil, 0), "0 program=a new 5 1", "1 program=b new 6 2")
	readings = nil
	add("c", 7, 3)
	add("b", 8, 4)
	add("a", 9, 5)
	r.Snapshot(&now)
	check(t, changes(&now, &before, 0), "0 program=a 4 5", "1 program=b 2 4", "2 program=c new 7 3")
	for _, c := range now.Since(&before, 2) {
		if !c.First().Equal(before.Time) {
			t.Errorf("the new one begins at %v, the snapshot before is of %v", c.First(), before.Time)
		}
	}
	readings = readings[:2]
	r.Snapshot(&before)
	check(t, changes(&before, &now, 0), "1 program=b 0 4", "2 program=c 0 3")
	add("a", 10, 6)
	r.Snapshot(&now)
	check(t, changes(&now, &before, 0), "0 program=a new 10 6", "1 program=b 0 4", "2 program=c 0 3")
}
