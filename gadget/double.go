// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/gizmo-ebpf/gizmo/gadget/internal/twin"
)

// What the names of the maps that doubleMaps adds have behind the name of the map that they are for.
const (
	secondSuffix = ".second"
	choiceSuffix = ".choice"
)

// doubleMaps returns a copy of the spec in which each map that is to be emptied while programs write
// to it has a second one to take turns with, and whether there are any. See docs/RATIONALE.md.
func (img *Image) doubleMaps(spec *ebpf.CollectionSpec, o *LoadOptions) (*ebpf.CollectionSpec, bool) {
	spec = spec.Copy()
	found := false
	for i := range img.DataSources {
		d := &img.DataSources[i]
		if d.Kind == MapIterator && o.fetchOf(d).Interval >= 0 && !img.isShared(d.Map) && doubleMap(spec, d.Map) {
			found = true
		}
	}
	return spec, found
}

// isShared reports whether others than the gadget's own programs look into the map: they would see
// half of it.
func (img *Image) isShared(name string) bool {
	return img.spec.Maps[name].Pinning != ebpf.PinNone ||
		slices.ContainsFunc(img.Programs, func(p Program) bool { return p.IterMap == name })
}

// doubleMap gives one map a second one, and reports whether it could.
func doubleMap(spec *ebpf.CollectionSpec, name string) bool {
	maps := twin.Maps{First: name, Second: name + secondSuffix, Choice: name + choiceSuffix}
	doubled := make(map[string]asm.Instructions)
	for program, p := range spec.Programs {
		if !twin.Uses(p.Instructions, name) {
			continue
		}
		instructions, err := twin.Double(p.Instructions, maps)
		if err != nil {
			return false
		}
		doubled[program] = instructions
	}
	if len(doubled) == 0 {
		return false
	}
	for program, instructions := range doubled {
		spec.Programs[program].Instructions = instructions
	}
	spec.Maps[maps.Second] = spec.Maps[name].Copy()
	spec.Maps[maps.Second].Name = maps.Second
	spec.Maps[maps.Choice] = twin.ChoiceSpec(maps.Choice)
	return true
}
