// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/ring"
)

// A buffer's shards are ring buffers for groups of CPUs, so that these do not wait for each other to
// write. <gadget/buffer.h> declares them beside each buffer; objects built elsewhere have none.
const (
	shardsSuffix = "_shards"
	varShardMask = "gadget_shard_mask"
	// MaxShards is the largest number of shards: far more than ever pays.
	MaxShards = 64
)

// The number of shards that nobody chose: see docs/RATIONALE.md.
const (
	cpusPerShard      = 16
	mostDefaultShards = 8
)

// DefaultShards returns the number of shards of a buffer when the caller names none: one for every 16
// CPUs that are online, rounded down to a power of two, from 1 to 8.
func DefaultShards() int { return defaultShards(onlineCPUs()) }

func defaultShards(cpus int) int {
	return roundDown(uint64(min(max(cpus/cpusPerShard, 1), mostDefaultShards)))
}

// shardCount returns how many shards each buffer gets: a power of two, since programs find theirs by
// masking the number of their CPU. 1 means no shards.
func (img *Image) shardCount(spec *ebpf.CollectionSpec, o *LoadOptions, perf bool) (int, error) {
	if o.Shards < 0 || o.Shards > MaxShards {
		return 0, fmt.Errorf("shards: want from 1 to %d, got %d", MaxShards, o.Shards)
	}
	if perf || spec.Variables[varShardMask] == nil {
		return 1, nil
	}
	if spec.Maps[lostByMap] != nil { // some program knows a buffer by its address only
		return 1, nil
	}
	return 1 << bits.Len32(uint32(cmp.Or(o.Shards, DefaultShards()))-1), nil
}

// shardBuffer splits a buffer into n, each with its share of the size, or takes the place for the shards
// away.
func shardBuffer(spec *ebpf.CollectionSpec, name string, n int) {
	shards, ok := spec.Maps[name+shardsSuffix]
	if !ok {
		return
	}
	if n == 1 {
		// Programs hold on to the map, though none of them uses it.
		shards.Type, shards.InnerMap, shards.Contents = ebpf.Array, nil, nil
		shards.KeySize, shards.ValueSize, shards.MaxEntries = 4, 4, 1
		shards.Key, shards.Value = nil, nil
		return
	}
	buffer := spec.Maps[name]
	each := bufferSize(int(buffer.MaxEntries) / n)
	shards.MaxEntries = uint32(n)
	shards.InnerMap = &ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: each}
	shards.Contents = nil
	for i := range n {
		shard := shardName(name, i)
		spec.Maps[shard] = &ebpf.MapSpec{Name: shard, Type: ebpf.RingBuf, MaxEntries: each}
		shards.Contents = append(shards.Contents, ebpf.MapKV{Key: uint32(i), Value: shard})
	}
	buffer.MaxEntries = bufferSize(1) // nothing goes there
}

func shardName(buffer string, i int) string { return buffer + "_shard" + strconv.Itoa(i) }

// openRings maps the data source's buffer, or its shards.
func (g *Gadget) openRings(d *DataSource, m *ebpf.Map, schema *event.Schema) (rings, error) {
	if g.coll.Maps[shardName(d.Map, 0)] == nil {
		r, err := ring.Open(m.FD(), int(m.MaxEntries()))
		if err != nil {
			return nil, err
		}
		return &oneRing{Ring: r, rows: newRows(schema.Size)}, nil
	}
	var fds []int
	size := 0
	for i := 0; g.coll.Maps[shardName(d.Map, i)] != nil; i++ {
		shard := g.coll.Maps[shardName(d.Map, i)]
		fds, size = append(fds, shard.FD()), int(shard.MaxEntries())
	}
	group, err := ring.OpenGroup(fds, size)
	if err != nil {
		return nil, err
	}
	return newShards(group, schema), nil
}

// shards reads several ring buffers in the order of their events' times.
type shards struct {
	*ring.Group
	rows rows
	// timeOff is where a record has its time; negative if it has none. Then events of one shard are in
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

// timeSlack is how long after an event's time its record is expected to be in its ring. Younger
// records wait: another shard may be about to bring an older one.
const timeSlack = 500 * time.Microsecond

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
	horizon := s.now() - uint64(timeSlack) // read before the rings are
	s.held = false
	s.heads = s.heads[:0]
	for _, r := range s.Rings {
		s.push(r)
	}
	for n := 0; len(s.heads) > 0 && len(b.Rows) < s.rows.max() && n < maxBatchBytes; {
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

// push adds a shard's next record, if there is one, to those that wait for their turn.
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
