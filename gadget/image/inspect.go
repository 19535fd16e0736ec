// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"maps"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
)

// Map is a map of a gadget.
type Map struct {
	Name, Type string
	// KeySize, ValueSize and MaxEntries are as the object has them: gizmo sets the size of buffers when it loads the gadget.
	KeySize, ValueSize, MaxEntries uint32
	// Bytes is about how much memory its keys and values can take: of one CPU for a map that has values for each; 0 where the object does not say it.
	Bytes uint64
	// Programs are those that use the map, by name.
	Programs []string
}

// Maps lists the maps of the object by name, without those of its variables.
func (img *Image) Maps() []Map {
	users := make(map[string][]string)
	for _, name := range slices.Sorted(maps.Keys(img.spec.Programs)) {
		for _, used := range mapsOf(img.spec.Programs[name]) {
			users[used] = append(users[used], name)
		}
	}
	var all []Map
	for _, name := range slices.Sorted(maps.Keys(img.spec.Maps)) {
		m := img.spec.Maps[name]
		if strings.HasPrefix(name, ".") {
			continue
		}
		size := (uint64(m.KeySize) + uint64(m.ValueSize)) * uint64(m.MaxEntries)
		if m.Type == ebpf.RingBuf {
			size = uint64(m.MaxEntries)
		}
		all = append(all, Map{
			Name: name, Type: m.Type.String(), KeySize: m.KeySize, ValueSize: m.ValueSize, MaxEntries: m.MaxEntries, Bytes: size, Programs: users[name],
		})
	}
	return all
}

// mapsOf returns the maps that a program uses.
func mapsOf(p *ebpf.ProgramSpec) []string {
	used := make(map[string]bool)
	for i := range p.Instructions {
		if ins := &p.Instructions[i]; ins.IsLoadFromMap() && ins.Reference() != "" && !strings.HasPrefix(ins.Reference(), ".") {
			used[ins.Reference()] = true
		}
	}
	return slices.Sorted(maps.Keys(used))
}

// Instructions returns the number of instructions of a program as it is in the object.
func (img *Image) Instructions(program string) int {
	if p := img.spec.Programs[program]; p != nil {
		return len(p.Instructions)
	}
	return 0
}
