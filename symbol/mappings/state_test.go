// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package mappings

import (
	"runtime"
	"testing"
)

// smallState has room for little.
func smallState() *state {
	s := newState(&Options{maxSpaces: 8, maxMappings: 32, maxForProcess: 10, Keep: 100})
	s.othersRun = func(uint32) bool { return false }
	s.describe = func(uint32) *Process { return nil }
	return s
}

// checkState checks what must hold at any time.
func checkState(t testing.TB, s *state) {
	t.Helper()
	spaces, mappings := 0, 0
	tables := map[*table]int{}
	for pid, sp := range s.procs {
		for ; sp != nil; sp = sp.prev {
			spaces++
			tables[sp.maps]++
			mappings += len(sp.gone)
			if sp.pid != pid {
				t.Errorf("process %d has a space of %d", pid, sp.pid)
			}
		}
	}
	for tab, refs := range tables {
		mappings += len(tab.list)
		if tab.refs != refs {
			t.Errorf("a table with %d references has %d", tab.refs, refs)
		}
		for i := range tab.list {
			if m := &tab.list[i]; m.lo >= m.hi || i > 0 && tab.list[i-1].hi > m.lo {
				t.Errorf("mapping %d of %+v overlaps", i, tab.list)
			}
		}
	}
	if spaces != s.spaces || mappings != s.mappings {
		t.Errorf("there are %d spaces and %d mappings, counted %d and %d", spaces, mappings, s.spaces, s.mappings)
	}
	// An add that splits a mapping may exceed the limit by two.
	if spaces > s.maxSpaces || mappings > s.maxMappings+2 {
		t.Errorf("%d spaces and %d mappings exceed the limits", spaces, mappings)
	}
}

// script applies records, given in any order, at once.
func script(t testing.TB, s *state, records ...record) {
	t.Helper()
	s.pending = append(s.pending, records...)
	s.apply(always)
	checkState(t, s)
}

func mapAt(time uint64, pid uint32, lo, hi uint64, kind Kind) record {
	return record{time: time, kind: recordMap, pid: pid, tid: pid, mapping: mapping{lo: lo, hi: hi, born: time, kind: kind, offset: lo}}
}

func forkAt(time uint64, pid, parent uint32) record {
	return record{time: time, kind: recordFork, pid: pid, tid: pid, parent: parent}
}

func event(kind recordKind, time uint64, pid uint32) record {
	return record{time: time, kind: kind, pid: pid, tid: pid}
}

// kindAt returns what is known about an address.
func kindAt(s *state, pid uint32, at, addr uint64) Kind {
	if sp := s.at(pid, at); sp != nil {
		m, _ := sp.find(addr, at)
		return m.kind
	}
	return Unknown
}

func wantKinds(t *testing.T, s *state, pid uint32, addr uint64, want map[uint64]Kind) {
	t.Helper()
	for at, kind := range want {
		if got := kindAt(s, pid, at, addr); got != kind {
			t.Errorf("process %d at %d: address %#x is %d, want %d", pid, at, addr, got, kind)
		}
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	s := smallState()
	// Records of several CPUs come in no order.
	script(t, s,
		event(recordExec, 30, 5), mapAt(35, 5, 100, 200, InFile), event(recordExit, 40, 5),
		forkAt(10, 5, 4), mapAt(12, 5, 100, 300, Anonymous), mapAt(20, 5, 150, 200, VDSO),
		event(recordExec, 3, 4), mapAt(5, 4, 100, 120, InFile),
		forkAt(50, 5, 4),
	)
	wantKinds(t, s, 4, 110, map[uint64]Kind{4: Unknown, 5: InFile, 60: InFile})
	wantKinds(t, s, 5, 110, map[uint64]Kind{9: Unknown, 10: InFile, 12: Anonymous, 29: Anonymous, 31: Unknown, 36: InFile, 41: InFile, 50: InFile})
	wantKinds(t, s, 5, 150, map[uint64]Kind{11: Unknown, 12: Anonymous, 19: Anonymous, 20: VDSO, 29: VDSO, 30: Unknown, 37: InFile, 50: Unknown})
	wantKinds(t, s, 5, 250, map[uint64]Kind{15: Anonymous, 25: Anonymous, 35: Unknown})
	// The parts of a mapping that another cut in two keep their places.
	m, _ := s.at(5, 25).find(250, 25)
	if m.offset+250-m.lo != 250 {
		t.Errorf("the rest of a mapping is %+v", m)
	}
	s.clean(145, 100)
	checkState(t, s)
	wantKinds(t, s, 5, 110, map[uint64]Kind{36: Unknown, 50: InFile})
	wantKinds(t, s, 4, 110, map[uint64]Kind{60: InFile})
}

// Records that could still come from another CPU are waited for.
func TestApplyUpTo(t *testing.T) {
	t.Parallel()
	s := smallState()
	s.pending = []record{event(recordExec, 1, 5), mapAt(10, 5, 100, 200, InFile), forkAt(20, 6, 5)}
	s.apply(10)
	if got := kindAt(s, 5, 10, 100); got != InFile || len(s.pending) != 1 {
		t.Errorf("kind %d, %d records wait", got, len(s.pending))
	}
	s.pending = append(s.pending, mapAt(15, 5, 300, 400, VDSO)) // of another CPU
	s.apply(20)
	if got := kindAt(s, 6, 20, 300); got != VDSO {
		t.Errorf("the child lacks what came late: %d", got)
	}
}

// A process with threads ends with the last of them.
func TestThreads(t *testing.T) {
	t.Parallel()
	s := smallState()
	thread := func(kind recordKind, time uint64, tid uint32) record {
		return record{time: time, kind: kind, pid: 5, parent: 5, tid: tid}
	}
	script(t, s, event(recordExec, 1, 5), mapAt(2, 5, 100, 200, InFile), thread(recordFork, 3, 6), thread(recordExit, 4, 5))
	s.clean(1000, 100)
	wantKinds(t, s, 5, 100, map[uint64]Kind{900: InFile})
	script(t, s, thread(recordExit, 950, 6))
	s.clean(1000, 100)
	wantKinds(t, s, 5, 100, map[uint64]Kind{900: InFile})
	s.clean(1100, 100)
	wantKinds(t, s, 5, 100, map[uint64]Kind{900: Unknown})

	// gizmo did not see this one start: it asks whether there are other threads.
	running := true
	s.othersRun = func(uint32) bool { return running }
	s.adopt(5, []mapping{{lo: 100, hi: 200, kind: Anonymous}}, proof{}, 0, 1)
	script(t, s, thread(recordExit, 10, 6), thread(recordExit, 11, 5))
	s.clean(1000, 100)
	wantKinds(t, s, 5, 100, map[uint64]Kind{900: Anonymous})
	running = false
	script(t, s, thread(recordExit, 1000, 5))
	s.clean(2000, 100)
	if len(s.procs) != 0 {
		t.Errorf("%d processes are left", len(s.procs))
	}
}

// A process that is described late may be another with the same PID.
func TestIntroduce(t *testing.T) {
	t.Parallel()
	s := smallState()
	began := int64(20)
	s.describe = func(pid uint32) *Process { return &Process{PID: pid, began: began} }
	script(t, s, forkAt(10, 5, 4), mapAt(12, 5, 100, 200, Anonymous))
	if p := s.procs[5].self; p != nil {
		t.Errorf("a process of before %+v is described by it", p)
	}
	began = 10
	script(t, s, mapAt(13, 5, 200, 300, Anonymous))
	if s.procs[5].self == nil {
		t.Error("the process is not described")
	}
}

// What /proc said includes the records from before.
func TestRecordsBeforeProc(t *testing.T) {
	t.Parallel()
	s := smallState()
	s.adopt(5, []mapping{{lo: 100, hi: 200, kind: Anonymous}}, proof{}, 0, 50)
	script(t, s, event(recordExec, 40, 5), mapAt(45, 5, 100, 200, VDSO), mapAt(60, 5, 300, 400, VDSO))
	wantKinds(t, s, 5, 100, map[uint64]Kind{1: Anonymous, 70: Anonymous})
	wantKinds(t, s, 5, 300, map[uint64]Kind{59: Unknown, 60: VDSO})
}

// After a loss, nothing that may have changed is said.
func TestDoubt(t *testing.T) {
	t.Parallel()
	s := smallState()
	script(t, s, event(recordExec, 1, 5), mapAt(2, 5, 100, 200, InFile), event(recordExec, 1, 6),
		record{time: 50, kind: recordLost, from: 40}, forkAt(60, 7, 5), event(recordExec, 70, 6), forkAt(80, 8, 3))
	for pid, want := range map[uint32]uint64{5: 40, 6: 0, 7: 60, 8: 80} {
		if got := s.procs[pid].doubted; got != want {
			t.Errorf("process %d is doubted since %d, want %d", pid, got, want)
		}
	}
	same := s.adopt(5, []mapping{{lo: 100, hi: 200, offset: 100, kind: InFile}}, proof{}, 40, 90)
	if same.doubted != 0 || same.began != 1 {
		t.Errorf("the same mappings: %+v", same)
	}
	s.adopt(7, []mapping{{lo: 100, hi: 200, kind: VDSO}}, proof{}, 60, 90)
	checkState(t, s)
	wantKinds(t, s, 7, 100, map[uint64]Kind{59: Unknown, 60: VDSO})
}

// The limits leave something out, and never keep what was replaced.
func TestLimits(t *testing.T) {
	t.Parallel()
	s := smallState()
	script(t, s, event(recordExec, 1, 5))
	for i := range uint64(100) {
		script(t, s, mapAt(2+i, 5, 100*i, 100*i+100, InFile))
	}
	if s.refusedMappings != 90 || !s.procs[5].partial {
		t.Errorf("%d mappings were refused, want 90", s.refusedMappings)
	}
	script(t, s, mapAt(200, 5, 50, 60, VDSO))
	wantKinds(t, s, 5, 50, map[uint64]Kind{199: InFile, 200: Unknown})
	for pid := range uint32(100) {
		script(t, s, event(recordExec, 300+uint64(pid), 100+pid))
	}
	if s.refusedProcesses != 93 {
		t.Errorf("%d processes were refused, want 93", s.refusedProcesses)
	}
	// A child that changes what it shares needs room for all of it.
	script(t, s, forkAt(500, 5, 100))
	if _, known := s.procs[5]; known {
		t.Error("a process that was refused has what another had with its PID")
	}
	// The past of processes gives way.
	s = smallState()
	for i := range uint64(20) {
		script(t, s, event(recordExec, 10*uint64(1e9)+i*2e9, 5))
	}
	if s.refusedProcesses != 0 {
		t.Errorf("%d processes were refused, though only the past had no room", s.refusedProcesses)
	}
}

// A fork shares the mappings of its parent, until one of both changes.
func TestForkShares(t *testing.T) {
	t.Parallel()
	s := smallState()
	script(t, s, event(recordExec, 1, 5), mapAt(2, 5, 100, 200, InFile), forkAt(3, 6, 5))
	if s.procs[5].maps != s.procs[6].maps || s.mappings != 1 {
		t.Errorf("%d mappings", s.mappings)
	}
	script(t, s, mapAt(4, 6, 300, 400, VDSO))
	wantKinds(t, s, 5, 300, map[uint64]Kind{5: Unknown})
	wantKinds(t, s, 6, 300, map[uint64]Kind{5: VDSO})
	if s.mappings != 3 {
		t.Errorf("%d mappings, want 3", s.mappings)
	}
}

// 100,000 processes, and a process with 100,000 mappings, take no more memory than the limits say.
func TestMemory(t *testing.T) {
	var o Options
	o.complete()
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	s := newState(&o)
	s.describe = func(uint32) *Process { return nil }
	for pid := range uint32(100_000) {
		s.take(ptrTo(event(recordExec, 1+uint64(pid), 100+pid)))
		for i := range uint64(5) {
			s.take(ptrTo(mapAt(1+uint64(pid), 100+pid, 100*i, 100*i+100, VDSO)))
		}
	}
	all := heap() - before
	t.Logf("%d spaces and %d mappings take %.1f MiB", s.spaces, s.mappings, float64(all)/(1<<20))
	if s.spaces != o.maxSpaces || s.refusedProcesses < 100_000-uint64(o.maxSpaces) {
		t.Errorf("%d spaces, %d were refused", s.spaces, s.refusedProcesses)
	}
	if all > 20<<20 {
		t.Errorf("%d MiB", all>>20)
	}
	checkState(t, s)

	s = newState(&o)
	s.take(ptrTo(event(recordExec, 1, 5)))
	for i := uint64(100_000); i > 0; i-- { // the worst order
		s.take(ptrTo(mapAt(2, 5, 100*i, 100*i+100, VDSO)))
	}
	if s.mappings != o.maxForProcess || s.refusedMappings != 100_000-uint64(o.maxForProcess) {
		t.Errorf("%d mappings, %d were refused", s.mappings, s.refusedMappings)
	}
	checkState(t, s)
}

func ptrTo(r record) *record { return &r }
