// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// lostByMap is the map of <gadget/buffer.h> with what did not fit into buffers that programs know by
// their addresses only: those in the variables of an author's functions. Its keys are ids of maps.
const lostByMap = "gadget_lost_by_map"

// dropUnusedLosses takes that map away from the many gadgets that have it from the header alone.
func dropUnusedLosses(spec *ebpf.CollectionSpec) {
	for _, p := range spec.Programs {
		if refersTo(p.Instructions, lostByMap) {
			return
		}
	}
	delete(spec.Maps, lostByMap)
}

func refersTo(code asm.Instructions, name string) bool {
	for i := range code {
		if code[i].Reference() == name {
			return true
		}
	}
	return false
}

// lossesByMap reads one buffer's counters in that map.
type lossesByMap struct {
	counts *ebpf.Map // nil if no program uses it
	id     uint32    // the buffer's
	read   []uint64
}

// lossCounter returns the counters of a data source's buffer.
func (g *Gadget) lossCounter(d *DataSource, buffer *ebpf.Map) (lossCounter, error) {
	c := lossCounter{counts: g.coll.Maps[d.Map+lostSuffix]}
	if c.byMap.counts = g.coll.Maps[lostByMap]; c.byMap.counts == nil {
		return c, nil
	}
	info, err := buffer.Info()
	if err != nil {
		return c, fmt.Errorf("ask the kernel for the id of the buffer %q: %w", d.Map, err)
	}
	id, _ := info.ID() // 0 where there are none, which is what programs get there
	c.byMap.id = uint32(id)
	return c, nil
}

// addTo adds what the map has to the counters of each CPU, which were just read; none if there are no
// others.
func (l *lossesByMap) addTo(counts *[]uint64) error {
	if l.counts == nil {
		return nil
	}
	switch err := l.counts.Lookup(l.id, &l.read); {
	case errors.Is(err, ebpf.ErrKeyNotExist):
		return nil // nothing was lost
	case err != nil:
		return err
	}
	if *counts == nil {
		*counts = make([]uint64, len(l.read))
	}
	for cpu, n := range l.read {
		(*counts)[cpu] += n
	}
	return nil
}
