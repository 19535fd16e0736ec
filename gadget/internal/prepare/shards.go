// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package prepare

import (
	"cmp"
	"fmt"
	"math/bits"
	"strconv"

	"github.com/cilium/ebpf"
)

// A buffer's shards are ring buffers for groups of CPUs, so that these do not wait for each other to
// write. <gadget/buffer.h> declares them beside each buffer; objects built elsewhere have none.
const (
	shardsSuffix = "_shards"
	varShardMask = "gadget_shard_mask"
	// MaxShards is the largest number of shards: far more than ever pays.
	MaxShards = 64
)

// The number of shards where the caller chose none: see docs/RATIONALE.md.
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
func (b *Buffers) shardCount(spec *ebpf.CollectionSpec, perf bool) (int, error) {
	if b.Shards < 0 || b.Shards > MaxShards {
		return 0, fmt.Errorf("shards: want from 1 to %d, got %d", MaxShards, b.Shards)
	}
	if perf || spec.Variables[varShardMask] == nil {
		return 1, nil
	}
	if spec.Maps[LostByMap] != nil { // some program knows a buffer by its address only
		return 1, nil
	}
	return 1 << bits.Len32(uint32(cmp.Or(b.Shards, DefaultShards()))-1), nil
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
		shard := ShardName(name, i)
		spec.Maps[shard] = &ebpf.MapSpec{Name: shard, Type: ebpf.RingBuf, MaxEntries: each}
		shards.Contents = append(shards.Contents, ebpf.MapKV{Key: uint32(i), Value: shard})
	}
	buffer.MaxEntries = bufferSize(1) // nothing goes there
}

// ShardName names a shard of a buffer.
func ShardName(buffer string, i int) string { return buffer + "_shard" + strconv.Itoa(i) }
