// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package mappings

import (
	"slices"
	"strings"
)

// mapping is an executable range of a process's memory.
type mapping struct {
	lo, hi uint64
	offset uint64 // in the file
	born   uint64 // since when, in nanoseconds since boot; 0: since before gizmo looked
	file   *file  // nil if kind is not InFile
	kind   Kind
}

// sameAs says that the two are the same code at the same addresses.
func (m *mapping) sameAs(o *mapping) bool {
	return m.lo == o.lo && m.hi == o.hi && m.offset == o.offset && m.file == o.file && m.kind == o.kind
}

// inMemory says that the process may have written the code itself.
func (m *mapping) inMemory() bool {
	return m.kind == Anonymous || m.kind == InFile && m.file != nil &&
		(strings.HasPrefix(m.file.name.path, "/memfd:") || strings.HasPrefix(m.file.name.path, "/dev/"))
}

// part returns the part of a mapping that lies in a range.
func (m mapping) part(lo, hi uint64) mapping {
	lo, hi = max(lo, m.lo), min(hi, m.hi)
	m.offset += lo - m.lo
	m.lo, m.hi = lo, hi
	return m
}

// table holds mappings, sorted and without overlaps. Processes that forked share it until one of them changes.
type table struct {
	list []mapping
	refs int
}

// past is a mapping that another replaced.
type past struct {
	mapping
	died uint64
}

// unknownThreads is the number of threads of a process that was there before gizmo.
const unknownThreads = -1

// space is the address space of a process from a fork or exec up to the next exec or the end.
type space struct {
	pid    uint32
	parent uint32
	// threads counts those that run, if gizmo saw the process start.
	threads int32
	exited  bool
	// partial: the limits left no room for some mappings.
	partial bool

	began, ended uint64 // 0: before gizmo looked; not yet
	// doubted is since when records that were lost may have changed the mappings; 0: they are right.
	doubted uint64
	// checked is when /proc was last compared; 0: never.
	checked uint64
	// proof is what /proc said about the process at that time.
	proof proof

	maps *table
	gone []past // in the order in which they were replaced
	prev *space // the one before, of the same PID
	self *Process
}

// find returns the mapping that had the address at that time.
func (s *space) find(addr, at uint64) (mapping, bool) {
	list := s.maps.list
	i, found := slices.BinarySearchFunc(list, addr, func(m mapping, addr uint64) int {
		switch {
		case m.hi <= addr:
			return -1
		case m.lo > addr:
			return 1
		}
		return 0
	})
	if found && list[i].born <= at {
		return list[i], true
	}
	for j := len(s.gone) - 1; j >= 0 && s.gone[j].died > at; j-- {
		if g := &s.gone[j]; g.lo <= addr && addr < g.hi && g.born <= at {
			return g.mapping, true
		}
	}
	return mapping{}, false
}

// overlap returns the range of the elements that overlap [lo, hi).
func overlap(list []mapping, lo, hi uint64) (from, to int) {
	from, _ = slices.BinarySearchFunc(list, lo, func(m mapping, lo uint64) int {
		if m.hi <= lo {
			return -1
		}
		return 1
	})
	for to = from; to < len(list) && list[to].lo < hi; to++ {
	}
	return from, to
}

// forget removes what was replaced before that time. It returns the number of mappings.
func (s *space) forget(before uint64) int {
	n := 0
	for n < len(s.gone) && s.gone[n].died < before {
		n++
	}
	s.gone = slices.Delete(s.gone, 0, n)
	return n
}
