// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package prepare

import (
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
)

// What <gadget/buffer.h> declares to count lost events by the mount namespace of the process that caused them.
const (
	LostByMount        = "gadget_lost_by_mntns"
	countLostByMount   = "gadget_count_lost_by_mntns"
	lostByMountKeySize = 16
)

// CountLostByMount makes the programs count lost events by mount namespace, if they can and if wanted is set, and reports whether
// they do. If they do not, it makes the map for that as small as possible.
func CountLostByMount(spec *ebpf.CollectionSpec, wanted bool) (counts bool, err error) {
	m, variable := spec.Maps[LostByMount], spec.Variables[countLostByMount]
	if m == nil || variable == nil {
		return false, nil
	}
	if !wanted || !allRunInTheProcess(spec) {
		// Programs refer to the map in code that the verifier removes, so it stays.
		m.MaxEntries = 1
		return false, nil
	}
	if m.Type != ebpf.Hash || m.KeySize != lostByMountKeySize || m.ValueSize != 8 {
		return false, fmt.Errorf("map %s is not that of <gadget/buffer.h>", LostByMount)
	}
	return true, variable.Set(true)
}

// allRunInTheProcess reports whether all programs run in the process that causes their events. Those for packets run in any.
func allRunInTheProcess(spec *ebpf.CollectionSpec) bool {
	types := []ebpf.ProgramType{ebpf.Kprobe, ebpf.TracePoint, ebpf.RawTracepoint, ebpf.RawTracepointWritable, ebpf.Tracing, ebpf.PerfEvent, ebpf.LSM}
	for _, p := range spec.Programs {
		if !slices.Contains(types, p.Type) {
			return false
		}
	}
	return true
}
