// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"slices"
	"testing"

	"github.com/gizmo-ebpf/gizmo/gadget/internal/ring"
)

func TestTimeOfRecordInTwoPieces(t *testing.T) {
	t.Parallel()
	s := &shards{timeOff: 4}
	record := []byte{9, 9, 9, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9}
	for cut := range record {
		want := uint64(0x0807060504030201)
		if got := s.timeOf(record[:cut], slices.Clone(record[cut:])); got != want {
			t.Errorf("cut at %d: %x, want %x", cut, got, want)
		}
	}
	for _, short := range []int{0, 4, 11} {
		if got := s.timeOf(record[:short], nil); got != 0 {
			t.Errorf("%d bytes: %x, want 0", short, got)
		}
	}
	none := &shards{timeOff: -1}
	if got := none.timeOf(record, nil); got != 0 {
		t.Errorf("without a time: %x", got)
	}
}

// First returns the shard with the oldest record.
func TestFirstFindsTheOldest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		times       []uint64
		first, next int
	}{
		{[]uint64{5}, 0, -1},
		{[]uint64{5, 7}, 0, 7},
		{[]uint64{7, 5}, 1, 7},
		{[]uint64{7, 5, 6}, 1, 6},
		{[]uint64{5, 5, 4, 9}, 2, 5},
		{[]uint64{3, 3}, 0, 3},
	} {
		s := &shards{}
		for _, at := range c.times {
			s.heads = append(s.heads, head{ring: &ring.Ring{}, time: at})
		}
		if first, next := s.first(); first != c.first || int64(next) != int64(c.next) {
			t.Errorf("%v: %d, then %d; want %d, then %d", c.times, first, next, c.first, c.next)
		}
	}
}
