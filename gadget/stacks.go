// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/idle"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/prepare"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/stacks"
)

// Stacks has the stacks that a gadget's programs have met, by the ids that they put into events. Nothing is lost because two stacks
// have the same hash, and no id is used twice. Its look-ups may be called by several goroutines at once, and allocate nothing.
type Stacks = stacks.Table

// StackSample is what there is to find the callers in a process.
type StackSample = stacks.Sample

// LostStacks counts stacks that gizmo cannot show.
type LostStacks = stacks.Lost

// BuildID says which file an address of a stack belongs to, as the kernel has found out.
type BuildID = stacks.BuildID

// BuildIDValid is the status of an address whose file has a build id.
const BuildIDValid = stacks.BuildIDValid

const (
	// maxStackRing is the size in bytes of the ring buffer for new stacks, on machines with enough memory. It takes some 19,000 of 24 addresses.
	maxStackRing = 4 << 20
	// sampleRings is how many times as large it is for samples of stacks.
	sampleRings = 4
)

// Stacks returns the stacks of the gadget. It belongs to the gadget and ends with it. It is nil if no program takes a stack
// with these params, and if the gadget keeps the kernel's table: because a program reads it, because it is shared or pinned, or because
// the kernel does not take the programs otherwise. Then the map that the gadget declares has the stacks.
func (g *Gadget) Stacks() *Stacks { return g.stacks }

// TakesUserStacks reports whether programs take stacks of processes with these params, into the table of Stacks.
func (g *Gadget) TakesUserStacks() bool { return g.userStacks }

// userStackMap is the map of <gadget/user_stack_map.h>.
const userStackMap = "ig_ustack"

// linkStacks makes programs use gizmo's table of stacks.
func (g *Gadget) linkStacks(spec *ebpf.CollectionSpec, o *LoadOptions) (*stacks.Linked, error) {
	ring := min(prepare.DefaultBufferSize(), maxStackRing)
	if o.UnwindStack != nil {
		ring = min(prepare.DefaultBufferSize(), maxStackRing*sampleRings)
	}
	if o.stackRing != 0 {
		ring = o.stackRing
	}
	return stacks.Link(spec, &stacks.Options{
		RingSize: uint32(ring), Samples: o.UnwindStack != nil, Taken: g.takesStacks,
		Keep: func(name string) bool { return o.Maps[name] != nil || g.image.IsPinned(name) || g.iterates(name) },
	})
}

// findStacks finds out what the programs do with stacks, as long as the object has its constants.
func (g *Gadget) findStacks(spec *ebpf.CollectionSpec) {
	finder := sync.OnceValue(func() *idle.Finder { return idle.New(spec, prepare.IsSetByLoading) })
	reach := func(program string) map[int]bool { return finder().Reach(program) }
	g.takesStacks = stacks.Taken(spec, reach)
	g.userStacks = uses(spec, userStackMap, reach)
	g.sizeBuildIDs(spec, reach)
}

// uses reports whether programs use a map on a path that they can take.
func uses(spec *ebpf.CollectionSpec, name string, reach func(program string) map[int]bool) bool {
	loads := func(ins asm.Instruction) bool { return ins.IsLoadFromMap() && ins.Reference() == name }
	for program, p := range spec.Programs {
		if !slices.ContainsFunc(p.Instructions, loads) {
			continue
		}
		for i := range reach(program) {
			if loads(p.Instructions[i]) {
				return true
			}
		}
	}
	return false
}

// iterates reports whether a data source or a program of the gadget reads a map.
func (g *Gadget) iterates(name string) bool {
	return slices.ContainsFunc(g.image.DataSources, func(d image.DataSource) bool { return d.Map == name }) ||
		slices.ContainsFunc(g.image.Programs, func(p image.Program) bool { return p.IterMap == name })
}

// buildIDEntries is the variable of <gadget/user_stack_map.h> with the number of stacks that its map for build ids has room for.
const buildIDEntries = "ig_build_id_max_entries"

// sizeBuildIDs gives the map for build ids as many entries as the user wants, or one if programs do not collect any.
func (g *Gadget) sizeBuildIDs(spec *ebpf.CollectionSpec, reach func(program string) map[int]bool) {
	m := spec.Maps[stacks.BuildIDsMap]
	if m == nil || m.Type != ebpf.Hash || g.image.IsPinned(stacks.BuildIDsMap) || g.iterates(stacks.BuildIDsMap) {
		return
	}
	v := spec.Variables[buildIDEntries]
	switch {
	case !uses(spec, stacks.BuildIDsMap, reach):
		m.MaxEntries = 1
	case v != nil && len(v.Value) == 4:
		m.MaxEntries = max(1, binary.LittleEndian.Uint32(v.Value))
	}
}

// openStacks opens the table of stacks, if the programs use it.
func (g *Gadget) openStacks(o *LoadOptions) (err error) {
	if !g.ownStacks {
		return nil
	}
	if g.stacks, err = stacks.Open(g.coll.Maps, o.StackMemory, o.UnwindStack); err != nil {
		return fmt.Errorf("open the table of stacks: %w", err)
	}
	return nil
}
