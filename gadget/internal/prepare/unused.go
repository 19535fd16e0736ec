// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package prepare

import "github.com/cilium/ebpf"

// ShrinkUnused makes the hash maps small that only programs use which are not loaded: a large map takes memory even if it is empty. all are
// the programs of the object. A map stays as it is if it is pinned, or keep returns true.
func ShrinkUnused(spec *ebpf.CollectionSpec, all map[string]*ebpf.ProgramSpec, keep func(name string) bool) {
	for name, m := range spec.Maps {
		switch m.Type {
		case ebpf.Hash, ebpf.LRUHash, ebpf.PerCPUHash, ebpf.LRUCPUHash:
		default:
			continue
		}
		if m.Pinning == ebpf.PinNone && !keep(name) && !isUsed(spec.Programs, name) && isUsed(all, name) {
			m.MaxEntries = min(m.MaxEntries, 1)
		}
	}
}

func isUsed(programs map[string]*ebpf.ProgramSpec, name string) bool {
	for _, p := range programs {
		if refersTo(p.Instructions, name) {
			return true
		}
	}
	return false
}
