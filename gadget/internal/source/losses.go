// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"fmt"
	"time"

	"github.com/cilium/ebpf"

	"github.com/gizmo-ebpf/gizmo/event"
)

// LossInterval is how often the kernel's counters of lost events are read.
const LossInterval = 250 * time.Millisecond

// lossCounter reads the numbers of events that the programs could not put into a buffer.
type lossCounter struct {
	counts *ebpf.Map // per CPU; nil if the object has none
	byMap  lossesByMap
	seen   []uint64
	now    []uint64
	next   time.Time
}

// CountsLosses reports whether a map has what a counter of lost events needs: one number for each CPU.
func CountsLosses(m *ebpf.Map) bool {
	return m.Type() == ebpf.PerCPUArray && m.KeySize() == 4 && m.ValueSize() == 8
}

// poll appends the losses since the last call. Unless final is set it reads the counters
// only once in a LossInterval.
func (c *lossCounter) poll(dst []event.Loss, final bool) ([]event.Loss, error) {
	if c.counts == nil && c.byMap.counts == nil {
		return dst, nil
	}
	now := time.Now()
	if !final && now.Before(c.next) {
		return dst, nil
	}
	c.next = now.Add(LossInterval)
	clear(c.now)
	if c.counts != nil {
		if err := c.counts.Lookup(uint32(0), &c.now); err != nil {
			return dst, fmt.Errorf("read the counters of lost events: %w", err)
		}
	}
	if err := c.byMap.addTo(&c.now); err != nil {
		return dst, fmt.Errorf("read the counters of lost events by buffer: %w", err)
	}
	return c.grown(dst), nil
}

// grown appends by how much the counters have grown.
func (c *lossCounter) grown(dst []event.Loss) []event.Loss {
	if len(c.seen) < len(c.now) {
		c.seen = make([]uint64, len(c.now))
	}
	for cpu, n := range c.now {
		if lost := n - c.seen[cpu]; lost > 0 {
			dst = append(dst, event.Loss{CPU: cpu, Cause: event.BufferFull, Count: lost})
			c.seen[cpu] = n
		}
	}
	return dst
}
