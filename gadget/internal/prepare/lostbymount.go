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

// CountLostByMount makes the programs count lost events by mount namespace, if they can and if wanted is set. Otherwise it
// takes the map for that away.
func CountLostByMount(spec *ebpf.CollectionSpec, wanted bool) error {
	m, variable := spec.Maps[LostByMount], spec.Variables[countLostByMount]
	if m == nil || variable == nil {
		return nil
	}
	if !wanted || !allRunInTheProcess(spec) {
		// Programs refer to the map in code that the verifier removes, so it stays, as small as possible.
		m.MaxEntries = 1
		return nil
	}
	if m.Type != ebpf.Hash || m.KeySize != lostByMountKeySize || m.ValueSize != 8 {
		return fmt.Errorf("map %s is not that of <gadget/buffer.h>", LostByMount)
	}
	return variable.Set(true)
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
