// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package alternate

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
)

// Selector is the map that says which of two maps programs use.
type Selector struct {
	value   *ebpf.Map
	barrier *Barrier
	now     uint32
}

// SelectorSpec describes a map for Maps.Selector.
func SelectorSpec(name string) *ebpf.MapSpec {
	return &ebpf.MapSpec{Name: name, Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1}
}

// NewSelector makes a Selector of a map that was made by SelectorSpec. Both remain the caller's.
func NewSelector(value *ebpf.Map, barrier *Barrier) *Selector {
	return &Selector{value: value, barrier: barrier}
}

// Switch makes the programs use the other map. When it returns, no program uses the map any more that
// they used before; it returns the number of that map, 0 or 1.
func (c *Selector) Switch() (unused int, err error) {
	before := c.now
	if err := c.value.Put(uint32(0), 1-before); err != nil {
		return 0, fmt.Errorf("switch the programs to the other map: %w", err)
	}
	c.now = 1 - before
	return int(before), c.barrier.Wait()
}

// Now is the number of the map that the programs use.
func (c *Selector) Now() int { return int(c.now) }

// Barrier waits for programs to end.
type Barrier struct{ inner, outer *ebpf.Map }

// NewBarrier makes a barrier. The caller must Close it.
func NewBarrier() (*Barrier, error) {
	inner := SelectorSpec("barrier")
	b := &Barrier{}
	var err error
	if b.inner, err = ebpf.NewMap(inner); err != nil {
		return nil, err
	}
	b.outer, err = ebpf.NewMap(&ebpf.MapSpec{
		Name: "barriers", Type: ebpf.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 1, InnerMap: inner,
	})
	if err != nil {
		return nil, errors.Join(err, b.inner.Close())
	}
	return b, nil
}

// Wait returns when all runs of programs that began before the call have ended, which takes
// some milliseconds. It does not wait for programs that may sleep.
//
// Since Linux 5.0 the kernel gives exactly this guarantee to a process that replaces a map in a map.
func (b *Barrier) Wait() error {
	if err := b.outer.Put(uint32(0), b.inner); err != nil {
		return fmt.Errorf("wait for the programs that are running: %w", err)
	}
	return nil
}

// Close releases what the barrier holds.
func (b *Barrier) Close() error { return errors.Join(b.outer.Close(), b.inner.Close()) }
