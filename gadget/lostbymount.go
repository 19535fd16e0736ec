// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/prepare"
)

// LostEvents counts events that did not fit into the buffer of a data source.
type LostEvents struct {
	// Source is the name of the data source.
	Source string
	// MountNS is the inode number of the mount namespace of the process that caused them; 0 for a process that was exiting.
	MountNS uint64
	Count   uint64
}

// lostByMount reads what programs count by mount namespace.
type lostByMount struct {
	counted bool // they do
	counts  *ebpf.Map
	sources map[uint32]string // names of data sources by the ids of their buffers
	seen    map[lostKey]uint64
}

// lostKey is struct gadget_lost_key of <gadget/buffer.h>.
type lostKey struct {
	MountNS uint64
	Map     uint32
	_       uint32
}

// openLostByMount finds the buffers by whose ids programs count.
func (g *Gadget) openLostByMount() error {
	if !g.lost.counted {
		return nil
	}
	g.lost.counts = g.coll.Maps[prepare.LostByMount]
	g.lost.sources, g.lost.seen = make(map[uint32]string), make(map[lostKey]uint64)
	for i := range g.image.DataSources {
		d := &g.image.DataSources[i]
		if d.Kind != image.Tracer {
			continue
		}
		info, err := g.coll.Maps[d.Map].Info()
		if err != nil {
			return fmt.Errorf("ask the kernel for the id of the buffer %s: %w", d.Map, err)
		}
		id, _ := info.ID() // 0 on kernels without ids; programs use 0 there, too
		g.lost.sources[uint32(id)] = d.Schema.Name
	}
	return nil
}

// LostByMount returns the events that did not fit into a buffer since the last call, by the mount namespace of the process that
// caused them. It returns none without LoadOptions.LostByMount, and for gadgets that do not count so. Calls must not overlap.
func (g *Gadget) LostByMount() ([]LostEvents, error) {
	if !g.lost.counted {
		return nil, nil
	}
	var lost []LostEvents
	var key lostKey
	var count uint64
	entries := g.lost.counts.Iterate()
	for entries.Next(&key, &count) {
		if n := count - g.lost.seen[key]; n > 0 {
			g.lost.seen[key] = count
			lost = append(lost, LostEvents{Source: g.lost.sources[key.Map], MountNS: key.MountNS, Count: n})
		}
	}
	if err := entries.Err(); err != nil {
		return lost, fmt.Errorf("read the lost events by mount namespace: %w", err)
	}
	return lost, nil
}
