// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package prepare

import (
	"fmt"
	"maps"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/gizmo-ebpf/gizmo/gadget/internal/cbpf"
	"github.com/gizmo-ebpf/gizmo/internal/bpfcode"
	"github.com/gizmo-ebpf/gizmo/internal/pcapexpr"
)

// SetPacketFilters replaces the functions for packet filters by those that the expressions make, in each program that has them.
// The keys are the names of the functions. copies says whether a program may read its stack at an offset that only the packet
// tells: see cbpf.Copy.
func SetPacketFilters(spec *ebpf.CollectionSpec, expressions map[string]string, copies func() bool) error {
	for _, function := range slices.Sorted(maps.Keys(expressions)) {
		classic, err := pcapexpr.Compile(expressions[function])
		if err != nil {
			return fmt.Errorf("packet filter: %w", err)
		}
		for _, name := range slices.Sorted(maps.Keys(spec.Programs)) {
			p := spec.Programs[name]
			from, to, ok := bpfcode.Function(p.Instructions, function)
			if !ok {
				continue
			}
			access, err := accessOf(p.Type, len(classic), copies)
			if err != nil {
				return fmt.Errorf("program %s: %w", name, err)
			}
			body, err := cbpf.Translate(classic, access)
			if err != nil {
				return fmt.Errorf("program %s: packet filter %q: %w", name, expressions[function], err)
			}
			// The first instruction has the function's name and type.
			body[0].Metadata = p.Instructions[from].Metadata
			p.Instructions = slices.Concat(p.Instructions[:from], body, p.Instructions[to:])
		}
	}
	return nil
}

// maxDirect is the largest number of instructions for which classifiers read packets both ways. The verifier follows either way from each
// value, which takes too long for large programs: Linux 6.18 gave up at 2,500, and took 0.4 s for 250.
const maxDirect = 250

// accessOf returns how programs of a kind read packets, for a filter with so many instructions.
func accessOf(t ebpf.ProgramType, size int, copies func() bool) (cbpf.Access, error) {
	switch t {
	case ebpf.XDP:
		return cbpf.Direct, nil
	case ebpf.SchedCLS, ebpf.SchedACT:
		if size <= maxDirect {
			return cbpf.DirectOrHelper, nil
		}
	case ebpf.SocketFilter:
	default:
		return 0, fmt.Errorf("a program of the type %s has no packets that begin with an Ethernet header, so it cannot have a packet filter", t)
	}
	if copies() {
		return cbpf.Copy, nil
	}
	return cbpf.Helper, nil
}
