// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package resolve

import (
	"github.com/gizmo-ebpf/gizmo/symbol/mappings"
	"github.com/gizmo-ebpf/gizmo/symbol/unwind"
)

// maxAddresses is how many addresses an unwound stack has at most: as many as the kernel's.
const maxAddresses = 127

// Unwinding is how the callers in a process are found.
type Unwinding string

const (
	// FramePointers takes what the kernel has found by frame pointers.
	FramePointers Unwinding = "fp"
	// DWARF goes by the call frame information of files, in the format of DWARF.
	DWARF Unwinding = "dwarf"
	// Auto takes the kernel's stack where no code on it has call frame information, and else goes by that.
	Auto Unwinding = "auto"
)

// unwinding is what Unwind needs again and again.
type unwinding struct {
	r        *Resolver
	unwinder *unwind.Unwinder
	find     unwind.Find
	sample   unwind.Sample
	moment   Moment
	one      [1]uint64
	place    [1]mappings.Place
	out      [maxAddresses + 1]uint64
}

// Unwind returns the addresses of a stack, the innermost first, and then 0 if callers are missing. sample is what package unwind describes: the registers and
// a copy of memory. byFramePointers is the stack that the kernel found, which may be empty. What Unwind returns is valid until the next call. It
// returns false if there is no stack.
func (r *Resolver) Unwind(m Moment, how Unwinding, sample []byte, byFramePointers []uint64) (addresses []uint64, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	u := &r.unwinding
	if u.unwinder == nil {
		u.unwinder, u.find = unwind.NewUnwinder(), u.lookUp
	}
	u.moment = m
	if how == Auto && u.unwinder.FollowsFramePointers(byFramePointers, u.find) {
		return byFramePointers, true
	}
	if u.sample.Decode(sample) != nil {
		return nil, false
	}
	n, truncated := u.unwinder.Unwind(&u.sample.Registers, u.sample.Stack, u.find, u.out[:maxAddresses])
	if truncated {
		u.out[n] = 0
		n++
	}
	return u.out[:n], n > 0
}

// lookUp finds the module of an address. It is an unwind.Find.
func (u *unwinding) lookUp(address uint64) (t *unwind.Table, fileAddress uint64, ok bool) {
	if u.r.tracker == nil {
		return nil, 0, false
	}
	u.one[0] = address
	u.r.tracker.Resolve(u.moment.PID, &u.moment.Identity, u.moment.Time, u.one[:], u.place[:])
	p := &u.place[0]
	switch p.Kind {
	case mappings.InFile:
		f := u.r.open(p.File)
		if f.elf == nil {
			return nil, 0, true
		}
		fileAddress, ok = f.elf.Address(p.Offset)
		return f.table(), fileAddress, ok
	case mappings.VDSO, mappings.Anonymous:
		return nil, 0, true
	}
	return nil, 0, false
}

// table returns the call frame information of a file; nil if it has none.
func (f *file) table() *unwind.Table {
	if f.cfi == nil && !f.noCFI {
		t, err := unwind.NewTable(f.source, f.source.Size())
		if f.noCFI = err != nil || !t.HasCFI(); !f.noCFI {
			f.cfi = t
		}
	}
	return f.cfi
}
