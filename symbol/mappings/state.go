// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package mappings

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// record is a record of the side-band that waits until those of the other CPUs have come.
type record struct {
	time      uint64
	from      uint64 // since when records are missing
	mapping   mapping
	pid, tid  uint32
	parent    uint32
	kind      recordKind
	forgotten bool // the limits left no room for the file
}

// state is what processes have mapped, now and a short time ago.
type state struct {
	keep          uint64 // nanoseconds for which the past is kept
	maxSpaces     int
	maxMappings   int // of all processes
	maxForProcess int

	// othersRun says that threads of a process run whose first has ended.
	othersRun func(pid uint32) bool
	// describe looks at a process that has code without a file, at once, because it may end soon.
	describe func(pid uint32) *Process

	procs    map[uint32]*space // the last one of each PID
	spaces   int
	mappings int
	pending  []record
	cleaned  uint64 // when room was last made

	refusedProcesses, refusedMappings, lost uint64
	doubts                                  bool // some spaces are to be compared with /proc
}

func newState(o *Options) *state {
	return &state{
		keep: uint64(o.Keep), maxSpaces: o.maxSpaces, maxMappings: o.maxMappings, maxForProcess: o.maxForProcess,
		procs: map[uint32]*space{}, othersRun: othersRun, describe: readProcess,
	}
}

// apply takes in all records up to that time, in the order in which things happened.
func (s *state) apply(until uint64) {
	if len(s.pending) == 0 {
		return
	}
	slices.SortStableFunc(s.pending, func(a, b record) int { return cmp.Compare(a.time, b.time) })
	n := 0
	for n < len(s.pending) && s.pending[n].time <= until {
		s.take(&s.pending[n])
		n++
	}
	s.pending = slices.Delete(s.pending, 0, n)
}

func (s *state) take(r *record) {
	if r.kind != recordLost && (r.pid == 0 || r.pid == math.MaxUint32) {
		return // a process that gizmo's PID namespace does not show
	}
	head := s.procs[r.pid]
	if r.kind != recordLost && head != nil && r.time < head.checked {
		return // /proc showed it already
	}
	switch r.kind {
	case recordMap:
		s.takeMap(head, r)
	case recordExec:
		s.exec(r.pid, r.time)
	case recordFork:
		s.fork(r)
	case recordExit:
		s.exit(head, r)
	case recordLost:
		s.doubt(r.from)
	}
}

func (s *state) takeMap(head *space, r *record) {
	if head == nil {
		// Its fork is missing, so there may be more mappings than this one.
		if head = s.begin(r.pid, r.time, nil); head == nil {
			return
		}
		head.doubted = r.time
		s.doubts = true
	}
	s.add(head, r.mapping, r.forgotten)
	if head.self == nil && r.mapping.inMemory() {
		head.introduce(s.describe(r.pid))
	}
}

// begin makes an address space the last one of a process, without mappings. It returns nil if there is no room; then
// nothing is known of the process.
func (s *state) begin(pid uint32, at uint64, maps *table) *space {
	old := s.procs[pid]
	if s.spaces >= s.maxSpaces && at > s.cleaned+uint64(time.Second) {
		s.cleaned = at
		s.clean(at, 0)
		old = s.procs[pid]
	}
	if s.spaces >= s.maxSpaces {
		s.refusedProcesses++
		s.remove(pid)
		return nil
	}
	if maps == nil {
		maps = &table{}
	}
	maps.refs++
	sp := &space{pid: pid, threads: unknownThreads, began: at, maps: maps, prev: old}
	if old != nil {
		sp.parent = old.parent
		if old.ended == 0 {
			old.ended = at
		}
	}
	s.spaces++
	s.procs[pid] = sp
	return sp
}

func (s *state) exec(pid uint32, at uint64) {
	if sp := s.begin(pid, at, nil); sp != nil {
		sp.threads = 1 // exec ends all others
	}
}

func (s *state) fork(r *record) {
	if r.pid == r.parent {
		if sp := s.procs[r.pid]; sp != nil && sp.threads > 0 {
			sp.threads++
		}
		return
	}
	parent := s.procs[r.parent]
	var maps *table
	if parent != nil {
		maps = parent.maps
	}
	sp := s.begin(r.pid, r.time, maps)
	if sp == nil {
		return
	}
	sp.parent, sp.threads = r.parent, 1
	switch {
	case parent == nil || parent.doubted != 0:
		sp.doubted = r.time
		s.doubts = true
	case parent.partial:
		sp.partial = true
	}
}

func (s *state) exit(head *space, r *record) {
	if head == nil || head.exited {
		return
	}
	if head.threads > 0 {
		if head.threads--; head.threads > 0 {
			return
		}
	} else if r.tid != r.pid {
		return // of an unknown number of threads; clean finds out whether others run when the first has ended
	}
	head.exited, head.ended = true, r.time
}

// doubt says that records are missing since then.
func (s *state) doubt(from uint64) {
	for _, sp := range s.procs {
		if sp.doubted == 0 { // also if it has exited: the PID may have another process now
			sp.doubted = max(1, from)
		}
	}
	s.doubts = true
}

// add maps something in the place of what was there.
func (s *state) add(sp *space, m mapping, forgotten bool) {
	if from, to := overlap(sp.maps.list, m.lo, m.hi); to == from+1 && sp.maps.list[from].sameAs(&m) {
		return
	}
	room := s.hasRoom(sp) && !forgotten
	own := s.own(sp)
	list := own.list
	from, to := overlap(list, m.lo, m.hi)
	var parts [3]mapping
	with := parts[:0]
	if from < to && list[from].lo < m.lo {
		with = append(with, list[from].part(0, m.lo))
	}
	if room {
		with = append(with, m)
	} else {
		s.refusedMappings++
		sp.partial = true
	}
	if from < to && list[to-1].hi > m.hi {
		with = append(with, list[to-1].part(m.hi, list[to-1].hi))
	}
	for _, old := range list[from:to] {
		s.bury(sp, old, m.born)
	}
	own.list = slices.Replace(list, from, to, with...)
	s.mappings += len(with) - (to - from)
}

// maxGone bounds the past of a process.
const maxGone = 1024

// bury notes a mapping that another replaces, if there is room.
func (s *state) bury(sp *space, m mapping, at uint64) {
	if s.mappings >= s.maxMappings {
		return
	}
	if len(sp.gone) == maxGone {
		sp.gone = slices.Delete(sp.gone, 0, maxGone/2)
		s.mappings -= maxGone / 2
	}
	sp.gone = append(sp.gone, past{m, at})
	s.mappings++
}

// hasRoom says that a process may have another mapping, and the split halves of one.
func (s *state) hasRoom(sp *space) bool {
	n := len(sp.maps.list)
	all := s.mappings
	if sp.maps.refs > 1 {
		all += n // they are about to be copied
	}
	return n < s.maxForProcess && all < s.maxMappings
}

// own returns the table of a process, which it shares with no other after that.
func (s *state) own(sp *space) *table {
	if sp.maps.refs == 1 {
		return sp.maps
	}
	sp.maps.refs--
	copied := &table{refs: 1}
	if s.mappings+len(sp.maps.list) <= s.maxMappings {
		copied.list = slices.Clone(sp.maps.list)
	} else {
		s.refusedMappings += uint64(len(sp.maps.list))
		sp.partial = true
	}
	s.mappings += len(copied.list)
	sp.maps = copied
	return copied
}

// drop forgets an address space.
func (s *state) drop(sp *space) {
	s.spaces--
	s.mappings -= len(sp.gone)
	if sp.maps.refs--; sp.maps.refs == 0 {
		s.mappings -= len(sp.maps.list)
	}
}

// remove forgets a process.
func (s *state) remove(pid uint32) {
	for sp := s.procs[pid]; sp != nil; sp = sp.prev {
		s.drop(sp)
	}
	delete(s.procs, pid)
}

// at returns the address space that a process had at that time, or nil if gizmo does not know.
func (s *state) at(pid uint32, at uint64) *space {
	sp := s.procs[pid]
	for sp != nil && sp.began > at {
		sp = sp.prev
	}
	return sp
}

// clean forgets what ended longer ago than keep says.
func (s *state) clean(now, keep uint64) {
	if now < keep {
		return
	}
	before := now - keep
	for pid, sp := range s.procs {
		if sp.exited && sp.ended < before {
			if sp.threads == unknownThreads && s.othersRun(pid) {
				sp.exited, sp.ended = false, 0 // the first thread ended before others
			} else {
				s.remove(pid)
				continue
			}
		}
		s.mappings -= sp.forget(before)
		for ; sp.prev != nil; sp = sp.prev {
			if sp.prev.ended < before {
				for old := sp.prev; old != nil; old = old.prev {
					s.drop(old)
				}
				sp.prev = nil
				break
			}
		}
	}
}

// eachFile calls mark with all files that mappings refer to.
func (s *state) eachFile(mark func(*file)) {
	marked := func(m *mapping) {
		if m.file != nil {
			mark(m.file)
		}
	}
	for _, sp := range s.procs {
		for ; sp != nil; sp = sp.prev {
			for i := range sp.maps.list {
				marked(&sp.maps.list[i])
			}
			for i := range sp.gone {
				marked(&sp.gone[i].mapping)
			}
		}
	}
	for i := range s.pending {
		marked(&s.pending[i].mapping)
	}
}

// parentOf returns the process that forked another, 0 if gizmo does not know.
func (s *state) parentOf(pid uint32) uint32 {
	if sp := s.procs[pid]; sp != nil {
		return sp.parent
	}
	for i := range s.pending {
		if r := &s.pending[i]; r.kind == recordFork && r.pid == pid && r.parent != pid {
			return r.parent
		}
	}
	return 0
}

// adopt takes over what /proc said about a process from the time checked on; since is from when on the process had these mappings.
func (s *state) adopt(pid uint32, list []mapping, p proof, since, checked uint64) *space {
	head := s.procs[pid]
	if head != nil && !head.exited && slices.EqualFunc(head.maps.list, list, func(a, b mapping) bool { return a.sameAs(&b) }) {
		head.doubted, head.checked, head.proof = 0, checked, p
		return head
	}
	sp := s.begin(pid, since, nil)
	if sp == nil {
		sp = &space{pid: pid, threads: unknownThreads, began: since, maps: &table{refs: 1, list: list}}
	} else {
		for _, m := range list {
			s.add(sp, m, m.kind == InFile && m.file == nil)
		}
	}
	sp.checked, sp.proof = checked, p
	return sp
}
