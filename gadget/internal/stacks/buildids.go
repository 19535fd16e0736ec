// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package stacks

import (
	"errors"
	"fmt"
	"sync"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
)

// BuildID says which file an address of a stack belongs to, as struct bpf_stack_build_id does.
type BuildID struct {
	// Status is BuildIDValid, or says that the kernel has found no build id.
	Status int32
	// ID is the build id, of 20 bytes or less, which zeros follow.
	ID [20]byte
	// Offset is the place in the file; with another status than BuildIDValid, the address.
	Offset uint64
}

// BuildIDValid is the status of an address whose file has a build id: BPF_STACK_BUILD_ID_VALID.
const BuildIDValid = 1

// patienceForBuildIDs is how long entries are left alone at least, if the map seems to be full.
const patienceForBuildIDs = time.Second

// buildIDs reads the map that programs fill with the build ids of stacks.
type buildIDs struct {
	m *ebpf.Map

	mu     sync.Mutex // guards what follows
	value  [maxDepth]BuildID
	reads  uint32
	swept  time.Time
	before map[uint32]bool // the stacks that the last sweep has met
}

// newBuildIDs returns nil if the map is not as <gadget/user_stack_map.h> declares it.
func newBuildIDs(m *ebpf.Map) *buildIDs {
	b := &buildIDs{m: m, before: make(map[uint32]bool)}
	if m == nil || m.Type() != ebpf.Hash || m.KeySize() != 4 || uintptr(m.ValueSize()) != unsafe.Sizeof(b.value) {
		return nil
	}
	return b
}

// BuildIDs appends to dst which file each address of a user stack belongs to, if the gadget has collected that. Ask for it once for each
// stack, soon after the first event with it: programs need the room for others.
func (t *Table) BuildIDs(dst []BuildID, id uint32) ([]BuildID, error) {
	if t.buildIDs == nil || !isID(id) {
		return dst, nil
	}
	return t.buildIDs.appendTo(dst, id)
}

func (b *buildIDs) appendTo(dst []BuildID, id uint32) ([]BuildID, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	err := b.m.Lookup(id, &b.value)
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		if time.Since(b.swept) < patienceForBuildIDs {
			return dst, nil
		}
		return dst, b.sweep()
	}
	if err != nil {
		return dst, fmt.Errorf("read the build ids of a stack: %w", err)
	}
	for i := range b.value {
		if b.value[i] == (BuildID{}) { // the end of the stack
			break
		}
		dst = append(dst, b.value[i])
	}
	if b.reads++; b.reads > b.m.MaxEntries()/4 {
		return dst, b.sweep()
	}
	return dst, nil
}

// sweep deletes the entries that were there at the last sweep, too. A program that meets such a stack again
// makes another entry, which nothing reads. So entries cannot be deleted when they are read.
func (b *buildIDs) sweep() error {
	b.reads, b.swept = 0, time.Now()
	now := make(map[uint32]bool, len(b.before))
	var id uint32
	entries := b.m.Iterate()
	for entries.Next(&id, &b.value) {
		now[id] = true
	}
	// An entry that is deleted meanwhile ends the iteration. The next sweep goes on.
	if err := entries.Err(); err != nil && !errors.Is(err, ebpf.ErrIterationAborted) {
		return fmt.Errorf("read the stacks with build ids: %w", err)
	}
	for id := range now {
		if !b.before[id] {
			continue
		}
		if err := b.m.Delete(id); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("delete the build ids of a stack: %w", err)
		}
		delete(now, id)
	}
	b.before = now
	return nil
}
