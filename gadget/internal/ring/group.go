// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package ring

import "errors"

// Group is several ring buffers that one goroutine reads.
type Group struct {
	Rings []*Ring
	waiter
}

// OpenGroup maps the ring buffers behind the descriptors, each of size bytes. The descriptors must
// stay open as long as the group.
func OpenGroup(fds []int, size int) (*Group, error) {
	g := &Group{waiter: newWaiter()}
	var errs []error
	for _, fd := range fds {
		r := &Ring{mask: uint64(size) - 1, waiter: newWaiter()}
		g.Rings = append(g.Rings, r)
		errs = append(errs, r.mmap(fd, size, pieceSize))
	}
	if err := errors.Join(append(errs, g.waiter.open(fds...))...); err != nil {
		_ = g.Close()
		return nil, err
	}
	return g, nil
}

// Release gives the memory of all records returned so far back to the kernel.
func (g *Group) Release() {
	for _, r := range g.Rings {
		r.Release()
	}
}

// Trim unmaps the released part of the rings.
func (g *Group) Trim() {
	for _, r := range g.Rings {
		r.Trim()
	}
}

// Err returns the error after which one of the rings cannot be read any more, or nil.
func (g *Group) Err() error {
	for _, r := range g.Rings {
		if r.err != nil {
			return r.err
		}
	}
	return nil
}

// Unread returns how many bytes of records have not been read of the ring that has most of them.
func (g *Group) Unread() uint64 {
	most := uint64(0)
	for _, r := range g.Rings {
		most = max(most, r.Unread())
	}
	return most
}

// Ready reports whether one of the rings has a record to read.
func (g *Group) Ready() bool {
	for _, r := range g.Rings {
		if _, _, ok := r.Peek(); ok {
			return true
		}
	}
	return false
}

// Busy reports whether there are records that the kernel has begun and not finished.
func (g *Group) Busy() bool {
	for _, r := range g.Rings {
		if r.Busy() {
			return true
		}
	}
	return false
}

// Close unmaps the buffers. Nothing that they returned may be used any longer.
func (g *Group) Close() error {
	errs := []error{g.waiter.close()}
	for _, r := range g.Rings {
		errs = append(errs, r.munmap())
	}
	return errors.Join(errs...)
}
