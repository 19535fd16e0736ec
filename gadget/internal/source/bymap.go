// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
)

// Losses are the counters of events that did not fit into a buffer. The zero value has no counters.
type Losses struct {
	// Counts has one counter for each CPU; nil if the gadget does not count.
	Counts *ebpf.Map
	// ByMap has one counter for each buffer, by its id, and CPU. It is for programs that know a buffer only by its
	// address; nil if there are none.
	ByMap *ebpf.Map
}

// counter returns the reader of the losses of a buffer.
func (l Losses) counter(buffer *ebpf.Map) (lossCounter, error) {
	c := lossCounter{counts: l.Counts}
	if l.ByMap == nil {
		return c, nil
	}
	info, err := buffer.Info()
	if err != nil {
		return c, fmt.Errorf("ask the kernel for the id of the buffer: %w", err)
	}
	id, _ := info.ID() // 0 on kernels without ids; programs use 0 there, too
	c.byMap = lossesByMap{counts: l.ByMap, id: uint32(id)}
	return c, nil
}

// lossesByMap reads one buffer's counters in Losses.ByMap.
type lossesByMap struct {
	counts *ebpf.Map // nil if no program uses it
	id     uint32    // the buffer's
	read   []uint64
}

// addTo adds the counts of the map to the counters of each CPU that were just read; counts is empty if there are no
// other counters.
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
