// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package stacks

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/cilium/ebpf"
)

// The maps that gizmo adds to an object.
const (
	mapRing  = "gizmo_stacks"       // the ring buffer with each new stack
	mapIDs   = "gizmo_stack_ids"    // which stack has which id
	mapRooms = "gizmo_stack_rooms"  // for each CPU, where programs put a stack before it has an id
	mapKeys  = "gizmo_stack_keys"   // what the hashes of stacks depend on
	mapNext  = "gizmo_stack_next"   // the next id
	mapLost  = "gizmo_stack_lost"   // what did not fit
	mapBig   = "gizmo_stack_sample" // like mapRooms, for samples
)

const (
	// maxDepth is how many addresses a stack has at most: PERF_MAX_STACK_DEPTH.
	maxDepth = 127

	// rooms and bigRooms are how many programs can be at work on a CPU at the same time: one interrupts another, and on some kernels
	// programs are preempted.
	rooms    = 4
	bigRooms = 3

	// The stacks that have an id are in sets of ways slots, one of which has a stack with a certain hash. A set is a cache line.
	sets = 1 << 14
	ways = 4

	// maxID is the largest id: negative numbers are errors.
	maxID = 1<<31 - 1
)

// A room.
const (
	roomBusy   = 0
	roomHash   = 8
	roomRecord = 16
)

// A record in the ring.
const (
	recordID   = 0
	recordKind = 4
	recordBody = 8 // the addresses; of a sample what follows

	recordFP     = 8  // the id of the same stack as the kernel finds it by frame pointers; 0: none
	recordTgid   = 12 // the process, in the initial pid namespace
	recordTime   = 16 // in nanoseconds since boot
	recordSample = 24
	sampleLen    = 64 // behind the registers
	sampleStack  = 72 // behind the length
)

// The kinds of records.
const (
	kindKernel = iota
	kindUser
	kindSample
)

const (
	// maxSampleStack is how many bytes of a stack a sample has at most.
	maxSampleStack = 22 << 10
	// page is how much of a stack is read at once. Each part ends at a multiple of it, so that none is lost because the memory ends.
	page = 1 << 10
)

// slot is an element of a set: key is the hash of a stack, changed by its id. A slot that is written while it is read
// does not fit the hash, so there is no lock: a program in a non-maskable interrupt could not wait for one.
const (
	slotKey  = 0
	slotID   = 8
	slotSize = 16
	slotMix  = -0x61c8864680b583eb
)

// The counters in mapLost.
const (
	lostFull = iota
	lostBusy
	lostExhausted
	lostKinds
)

// mapSpecs describes the maps.
func mapSpecs(ringSize uint32, samples bool) map[string]*ebpf.MapSpec {
	all := []*ebpf.MapSpec{
		{Name: mapRing, Type: ebpf.RingBuf, MaxEntries: ringSize},
		{Name: mapIDs, Type: ebpf.Array, KeySize: 4, ValueSize: ways * slotSize, MaxEntries: sets},
		// The size is more than the addresses need because the kernel's check of the code knows lengths in powers of two.
		{Name: mapRooms, Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: roomRecord + recordBody + 1024, MaxEntries: rooms},
		{Name: mapKeys, Type: ebpf.Array, KeySize: 4, ValueSize: 16, MaxEntries: 1, Contents: []ebpf.MapKV{{Key: uint32(0), Value: newKeys()}}},
		{Name: mapNext, Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1, Contents: []ebpf.MapKV{{Key: uint32(0), Value: uint64(1)}}},
		{Name: mapLost, Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 8, MaxEntries: lostKinds},
	}
	if samples {
		all = append(all, &ebpf.MapSpec{
			Name: mapBig, Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: roomRecord + recordSample + sampleStack + maxSampleStack, MaxEntries: bigRooms,
		})
	}
	specs := make(map[string]*ebpf.MapSpec, len(all))
	for _, m := range all {
		specs[m.Name] = m
	}
	return specs
}

// newKeys returns two random numbers, the second one odd. A process that makes up addresses cannot know which stacks have the same hash.
func newKeys() []byte {
	keys := binary.NativeEndian.AppendUint64(nil, rand.Uint64())
	return binary.NativeEndian.AppendUint64(keys, rand.Uint64()|1)
}
