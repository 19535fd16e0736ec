// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package prepare

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/gizmo-ebpf/gizmo/gadget/internal/alternate"
)

// The suffixes of the names of the maps that Alternate adds, after the name of the original map.
const (
	SecondSuffix   = ".second"
	SelectorSuffix = ".selector"
)

// Alternate returns a copy of the spec in which programs use each of the named maps alternately with a second one,
// so that they can be emptied while programs write to them. It returns false if
// there are no such maps. See docs/RATIONALE.md.
func Alternate(spec *ebpf.CollectionSpec, names []string) (*ebpf.CollectionSpec, bool) {
	if len(names) == 0 {
		return nil, false // the usual case: a copy of the spec would copy all types
	}
	spec = spec.Copy()
	found := false
	for _, name := range names {
		found = addSecond(spec, name) || found
	}
	return spec, found
}

// addSecond adds a second map for a map, and reports whether it could.
func addSecond(spec *ebpf.CollectionSpec, name string) bool {
	maps := alternate.Maps{First: name, Second: name + SecondSuffix, Selector: name + SelectorSuffix}
	rewritten := make(map[string]asm.Instructions)
	for program, p := range spec.Programs {
		if !alternate.Uses(p.Instructions, name) {
			continue
		}
		instructions, err := alternate.Rewrite(p.Instructions, maps)
		if err != nil {
			return false
		}
		rewritten[program] = instructions
	}
	if len(rewritten) == 0 {
		return false
	}
	for program, instructions := range rewritten {
		spec.Programs[program].Instructions = instructions
	}
	spec.Maps[maps.Second] = spec.Maps[name].Copy()
	spec.Maps[maps.Second].Name = maps.Second
	spec.Maps[maps.Selector] = alternate.SelectorSpec(maps.Selector)
	return true
}
