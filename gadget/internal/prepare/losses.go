// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package prepare

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// LostByMap is the map of <gadget/buffer.h> that counts the events that did not fit into buffers which programs know only by
// their addresses: those in the variables of an author's functions. Its keys are ids of maps.
const LostByMap = "gadget_lost_by_map"

// DropUnusedLosses takes that map away from the many gadgets that have it from the header alone.
func DropUnusedLosses(spec *ebpf.CollectionSpec) {
	for _, p := range spec.Programs {
		if refersTo(p.Instructions, LostByMap) {
			return
		}
	}
	delete(spec.Maps, LostByMap)
}

func refersTo(code asm.Instructions, name string) bool {
	for i := range code {
		if code[i].Reference() == name {
			return true
		}
	}
	return false
}
