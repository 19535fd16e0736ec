// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"encoding/binary"
	"math"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/ring"
)

// shards reads several ring buffers in the order of their events' times.
type shards struct {
	*ring.Group
	rows rows
	// timeOff is the offset of the time in a record; negative if it has none. Then events of one shard are in
	// order, those of several are not.
	timeOff int
	// now reads the clock of the times.
	now   func() uint64
	heads []head
	held  bool
}

// head is the next record of one shard.
type head struct {
	ring       *ring.Ring
	time       uint64
	head, tail []byte
}

// TimeSlack is how long after an event's time its record is expected to be in its ring. Younger
// records wait: another shard may be about to bring an older one.
const TimeSlack = 500 * time.Microsecond

func newShards(group *ring.Group, schema *event.Schema) *shards {
	return &shards{
		Group: group, rows: newRows(schema.Size), timeOff: timeOffset(schema), now: bootTime,
		heads: make([]head, 0, len(group.Rings)),
	}
}

// timeOffset returns where the schema's records have the time of the event.
func timeOffset(s *event.Schema) int {
	for i := range s.Fields {
		f := &s.Fields[i]
		if f.Kind == event.Uint && f.Size == 8 && f.Count == 0 && slices.Contains(f.Types, "gadget_timestamp") {
			return int(f.Off)
		}
	}
	return -1
}

func bootTime() uint64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return math.MaxUint64 // nothing waits, then
	}
	return uint64(ts.Nano())
}

func (s *shards) fill(b *event.Batch) bool {
	s.Release()
	s.rows.begin()
	horizon := s.now() - uint64(TimeSlack) // read before the rings are
	s.held = false
	s.heads = s.heads[:0]
	for _, r := range s.Rings {
		s.push(r)
	}
	for n := 0; len(s.heads) > 0 && len(b.Rows) < s.rows.max() && n < MaxBatchBytes; {
		first, next := s.first()
		h := &s.heads[first]
		if h.time > horizon {
			s.held = true
			return false
		}
		// Events come in bursts: the same shard often has the next, too.
		for h.time <= next && h.time <= horizon && len(b.Rows) < s.rows.max() {
			n += len(h.head) + len(h.tail)
			b.Rows = append(b.Rows, s.rows.row(len(b.Rows), h.head, h.tail))
			h.ring.Take()
			if !s.read(h) {
				s.heads = slices.Delete(s.heads, first, first+1)
				break
			}
		}
	}
	if len(s.heads) == 0 {
		return false
	}
	first, _ := s.first()
	s.held = s.heads[first].time > horizon
	return !s.held
}

// first returns the shard with the oldest record, and the time of the oldest of the others.
func (s *shards) first() (first int, next uint64) {
	next = math.MaxUint64
	for i := 1; i < len(s.heads); i++ {
		switch t := s.heads[i].time; {
		case t < s.heads[first].time:
			first, next = i, s.heads[first].time
		case t < next:
			next = t
		}
	}
	return first, next
}

// push adds a shard's next record, if there is one, to the records that wait.
func (s *shards) push(r *ring.Ring) {
	h := head{ring: r}
	if s.read(&h) {
		s.heads = append(s.heads, h)
	}
}

// read looks at a shard's next record.
func (s *shards) read(h *head) bool {
	var ok bool
	if h.head, h.tail, ok = h.ring.Peek(); !ok {
		return false
	}
	h.time = s.timeOf(h.head, h.tail)
	return true
}

// timeOf returns the time of a record that comes in two pieces; 0 if it is too short to have one.
func (s *shards) timeOf(head, tail []byte) uint64 {
	off := s.timeOff
	switch {
	case off < 0 || off+8 > len(head)+len(tail):
		return 0
	case off+8 <= len(head):
		return binary.LittleEndian.Uint64(head[off:])
	case off >= len(head):
		return binary.LittleEndian.Uint64(tail[off-len(head):])
	}
	var both [8]byte
	copy(both[copy(both[:], head[off:]):], tail)
	return binary.LittleEndian.Uint64(both[:])
}

// Held reports whether there are records that are only too young.
func (s *shards) Held() bool { return s.held }
