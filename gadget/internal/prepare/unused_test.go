// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package prepare

import (
	"maps"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// Of the maps with room for 100 entries, those are made small that only a program has that is not loaded.
func TestShrinkUnused(t *testing.T) {
	t.Parallel()
	user := func(names ...string) *ebpf.ProgramSpec {
		p := &ebpf.ProgramSpec{}
		for _, name := range names {
			p.Instructions = append(p.Instructions, asm.LoadMapPtr(asm.R1, 0).WithReference(name))
		}
		return p
	}
	all := map[string]*ebpf.ProgramSpec{
		"loaded": user("shared", "mine"),
		"absent": user("shared", "theirs", "array", "replaced", "pinned"),
	}
	spec := &ebpf.CollectionSpec{Programs: map[string]*ebpf.ProgramSpec{"loaded": all["loaded"]}, Maps: make(map[string]*ebpf.MapSpec)}
	for _, name := range []string{"shared", "mine", "theirs", "array", "replaced", "pinned", "nobodys"} {
		spec.Maps[name] = &ebpf.MapSpec{Type: ebpf.Hash, MaxEntries: 100}
	}
	spec.Maps["array"].Type = ebpf.Array
	spec.Maps["pinned"].Pinning = ebpf.PinByName
	ShrinkUnused(spec, all, func(name string) bool { return name == "replaced" })
	got := make(map[string]bool)
	for name, m := range spec.Maps {
		if m.MaxEntries != 100 {
			got[name] = m.MaxEntries == 1
		}
	}
	if want := map[string]bool{"theirs": true}; !maps.Equal(got, want) {
		t.Errorf("small are %v, want %v", got, want)
	}
}
