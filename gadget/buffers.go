// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"errors"
	"fmt"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/features"
)

const (
	// DefaultLatency bounds how long an event may wait in the buffer for others to come.
	DefaultLatency = 20 * time.Millisecond
	// AtOnce, as a latency, stands for no waiting.
	AtOnce time.Duration = -1
)

// The constants of <gadget/buffer.h> that are ours to set. Objects built elsewhere lack them, and
// then the kernel decides when to wake the reader.
const (
	varWakeup = "gadget_wakeup_bytes"
	varPerf   = "gadget_force_perf_buffer"
)

// prepareBuffers gives all buffers their types and sizes, and tells the programs.
func (img *Image) prepareBuffers(spec *ebpf.CollectionSpec, o *LoadOptions) error {
	noRing := features.HaveMapType(ebpf.RingBuf)
	perf := o.PerfBuffer || errors.Is(noRing, ebpf.ErrNotSupported)
	shards, err := img.shardCount(spec, o, perf)
	if err != nil {
		return err
	}
	size, err := o.bufferSize(img.buffers())
	if err != nil {
		return err
	}
	for i := range img.DataSources {
		if img.DataSources[i].Kind != Tracer {
			continue
		}
		name := img.DataSources[i].Map
		m := spec.Maps[name]
		if o.PerfBuffer && m.Type == ebpf.RingBuf && noRing == nil && spec.Variables[varPerf] == nil {
			return fmt.Errorf("this gadget cannot use perf buffers on a kernel that has ring buffers: it has no constant %s (built against other headers?)", varPerf)
		}
		configureBuffer(m, size, perf)
		shardBuffer(spec, name, shards)
	}
	return tellPrograms(spec, o, perf, shards)
}

// buffers is the number of buffers between the kernel and gizmo.
func (img *Image) buffers() (n int) {
	for i := range img.DataSources {
		if img.DataSources[i].Kind == Tracer {
			n++
		}
	}
	return n
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
func tellPrograms(spec *ebpf.CollectionSpec, o *LoadOptions, perf bool, shards int) error {
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
	v, ok := spec.Variables[varWakeup]
	if !ok || perf || o.Latency < 0 {
		return nil
	}
	return v.Set(uint64(wakeupBytes(smallestRing(spec))))
}

// smallestRing returns the size of the smallest ring buffer that programs write to.
func smallestRing(spec *ebpf.CollectionSpec) uint32 {
	smallest := uint32(1 << 30)
	for name, m := range spec.Maps {
		_, unused := spec.Maps[shardName(name, 0)]
		if m.Type == ebpf.RingBuf && !unused {
			smallest = min(smallest, m.MaxEntries)
		}
	}
	return smallest
}

// wakeupBytes is the amount of unread data for which the reader of a buffer is woken: often enough
// that it starts long before the buffer is full, and seldom enough that waking costs nothing
// beside the events. A power of two.
func wakeupBytes(buffer uint32) uint32 {
	return max(min(buffer/16, 256<<10), 1<<10)
}
