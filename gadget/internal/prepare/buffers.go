// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package prepare

import (
	"errors"
	"fmt"
	"time"

	"github.com/cilium/ebpf"

	"github.com/gizmo-ebpf/gizmo/gadget/internal/kernel"
)

// The constants of <gadget/buffer.h> that loading sets. Objects built elsewhere lack them, and
// then the kernel decides when to wake the reader.
const (
	// WakeupVariable is for how many unread bytes the programs wake the reader.
	WakeupVariable = "gadget_wakeup_bytes"
	varPerf        = "gadget_force_perf_buffer"
)

// Buffers is how the buffers between programs and readers are to be.
type Buffers struct {
	// Names are those of the maps.
	Names []string
	// Size is the size in bytes of each; 0: a size that suits the machine.
	Size int
	// Latency limits how long an event may wait in the buffer for others; negative: not at all.
	Latency time.Duration
	// Shards is the number of ring buffers that each is split into; 0: as many as suit the machine.
	Shards int
	// Perf: use perf buffers even where the kernel has ring buffers.
	Perf bool
}

// Set gives all buffers their types and sizes, and tells the programs.
func (b *Buffers) Set(spec *ebpf.CollectionSpec) error {
	noRing := kernel.HasRingBuffers()
	perf := b.Perf || errors.Is(noRing, ebpf.ErrNotSupported)
	shards, err := b.shardCount(spec, perf)
	if err != nil {
		return err
	}
	size, err := b.size()
	if err != nil {
		return err
	}
	for _, name := range b.Names {
		m := spec.Maps[name]
		if b.Perf && m.Type == ebpf.RingBuf && noRing == nil && spec.Variables[varPerf] == nil {
			return fmt.Errorf("this gadget cannot use perf buffers on a kernel that has ring buffers: it has no constant %s (built against other headers?)", varPerf)
		}
		configureBuffer(m, size, perf)
		shardBuffer(spec, name, shards)
	}
	return b.tellPrograms(spec, perf, shards)
}

// configureBuffer gives one buffer its type and size.
func configureBuffer(m *ebpf.MapSpec, size int, perf bool) {
	if perf {
		m.Type, m.KeySize, m.ValueSize, m.MaxEntries = ebpf.PerfEventArray, 4, 4, 0
		return
	}
	if m.Type == ebpf.RingBuf {
		m.MaxEntries = bufferSize(size)
	}
}

// tellPrograms sets the constants that say how to use the buffers.
func (b *Buffers) tellPrograms(spec *ebpf.CollectionSpec, perf bool, shards int) error {
	if v, ok := spec.Variables[varPerf]; ok && perf {
		if err := v.Set(true); err != nil {
			return err
		}
	}
	if v, ok := spec.Variables[varShardMask]; ok {
		if err := v.Set(uint32(shards - 1)); err != nil {
			return err
		}
	}
	v, ok := spec.Variables[WakeupVariable]
	if !ok || perf || b.Latency < 0 {
		return nil
	}
	return v.Set(uint64(wakeupBytes(smallestRing(spec))))
}

// smallestRing returns the size of the smallest ring buffer that programs write to.
func smallestRing(spec *ebpf.CollectionSpec) uint32 {
	smallest := uint32(1 << 30)
	for name, m := range spec.Maps {
		_, unused := spec.Maps[ShardName(name, 0)]
		if m.Type == ebpf.RingBuf && !unused {
			smallest = min(smallest, m.MaxEntries)
		}
	}
	return smallest
}

// WakeBytes returns for how many unread bytes of a ring buffer of this size the programs wake the reader. If the gadget has a
// smaller buffer, too, they wake it more often.
func WakeBytes(buffer uint32) uint64 { return uint64(wakeupBytes(buffer)) }

// wakeupBytes is the amount of unread data for which the reader of a buffer is woken: often enough
// that it starts long before the buffer is full, and rarely enough that waking costs nothing
// compared to the events. A power of two.
func wakeupBytes(buffer uint32) uint32 {
	return max(min(buffer/16, 256<<10), 1<<10)
}

// IsSetByLoading reports whether loading itself sets a constant.
func IsSetByLoading(constant string) bool {
	return constant == WakeupVariable || constant == varPerf || constant == varShardMask || constant == countLostByMount
}
