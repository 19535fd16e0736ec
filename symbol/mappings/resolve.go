// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package mappings

import (
	"time"
)

// Resolve finds what the addresses belonged to in a process at a time, and stores that in the elements of out with the same index; out must not be shorter.
// The PID is the process's in gizmo's own PID namespace, and the time is in nanoseconds since boot, as bpf_ktime_get_boot_ns gives it; 0 is now. What
// gizmo does not know for certain stays Unknown. The identity may be nil.
//
// Resolve may wait for the kernel, but not for a file longer than [Options.Wait]. It allocates nothing if the process is known and its files are open.
func (t *Tracker) Resolve(pid uint32, id *Identity, at uint64, addrs []uint64, out []Place) {
	out = out[:len(addrs)]
	clear(out)
	if at == 0 {
		at = bootTime()
	}
	t.locate(pid, id, at, addrs, out)
	t.await(out)
	for i := range out {
		if p := &out[i]; p.file != nil {
			p.File, p.file = p.file.current.Load(), nil
		}
	}
}

// locate fills out with all but the files.
func (t *Tracker) locate(pid uint32, id *Identity, at uint64, addrs []uint64, out []Place) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	sp := t.space(pid, id, at)
	if sp == nil {
		return
	}
	missed := sp.fill(at, addrs, out)
	if missed && t.isStale(sp) {
		if sp = t.rescan(pid, id, at); sp != nil {
			sp.fill(at, addrs, out)
		}
	}
}

// fill stores the places of addresses. It returns true if an address was in no mapping.
func (s *space) fill(at uint64, addrs []uint64, out []Place) (missed bool) {
	for i, addr := range addrs {
		m, ok := s.find(addr, at)
		if !ok {
			missed = true
			continue
		}
		if m.kind == Unknown {
			continue
		}
		out[i] = Place{Kind: m.kind, Offset: addr - m.lo + m.offset, file: m.file}
		if m.kind == Anonymous {
			out[i].Offset = 0
		}
		if m.inMemory() {
			if s.self == nil && !s.exited {
				s.introduce(readProcess(s.pid))
			}
			out[i].Process = s.self
		}
	}
	return missed
}

// await waits for the files that are about to be opened.
func (t *Tracker) await(out []Place) {
	now := t.files.now()
	var timeout *time.Timer
	for i := range out {
		f := out[i].file
		if f == nil {
			continue
		}
		f.used.Store(now)
		f.given.Store(true)
		if !f.busy.Load() && f.current.Load().opened {
			continue
		}
		if timeout == nil {
			timeout = time.NewTimer(t.options.Wait)
			defer timeout.Stop()
		}
		if !f.wait(timeout.C) {
			return
		}
	}
}

// space returns the address space of the process of an event; nil if gizmo is not certain about it. The caller holds the lock.
func (t *Tracker) space(pid uint32, id *Identity, at uint64) *space {
	if !t.following() {
		return t.sighted(pid, id, at)
	}
	if at > t.drained {
		t.drain(at)
	} else {
		t.state.apply(at)
	}
	sp := t.state.at(pid, at)
	if sp == nil || sp.doubted != 0 && sp.doubted <= at {
		sp = t.rescan(pid, id, at)
	}
	if sp != nil && !sp.runs(id) {
		sp = nil
	}
	if sp == nil {
		t.doubtful++
	}
	return sp
}

// sighted does the same without perf events: it makes sure that the process that gizmo read about is still the same.
func (t *Tracker) sighted(pid uint32, id *Identity, at uint64) *space {
	sp := t.state.procs[pid]
	now, err := readProof(pid)
	switch {
	case err == nil && sp != nil && now == sp.proof && now.fits(id, at):
		return sp
	case err == nil && now.fits(id, at):
		sp = t.rescan(pid, id, at)
	case sp == nil, id != nil && id.BaseAddrHash != 0 && id.BaseAddrHash == sp.proof.hash:
	case at > sp.checked, !sp.proof.fits(id, at):
		sp = nil // the event may be from another process
	}
	if sp != nil && sp.runs(id) {
		return sp
	}
	t.doubtful++
	return nil
}

// staleAfter bounds how often gizmo reads again what a process has mapped, without perf events.
const staleAfter = uint64(100 * time.Millisecond)

// isStale says that a process may have mapped more than gizmo knows.
func (t *Tracker) isStale(sp *space) bool {
	return !t.following() && bootTime() > sp.checked+staleAfter
}

// rescan reads in /proc what a process has mapped, and returns its address space if that was so at the time as well.
func (t *Tracker) rescan(pid uint32, id *Identity, at uint64) *space {
	before, err := readProof(pid)
	if err != nil || !before.fits(id, at) {
		return nil
	}
	t.drain(always)
	head := t.state.procs[pid]
	if head != nil && (head.began > at || head.doubted == 0 && t.following()) {
		return nil // what the process has now it did not have then; or there was nothing to doubt
	}
	since := uint64(before.began)
	if head != nil {
		since = max(since, head.doubted)
	}
	checked := bootTime()
	list, err := t.readMaps(pid)
	if err != nil {
		return nil
	}
	t.drain(always)
	if after, err := readProof(pid); err != nil || after != before || t.state.procs[pid] != head {
		return nil // an exec came between
	}
	return t.state.adopt(pid, list, before, since, checked)
}

// readMaps reads what a process has mapped, and has the files opened.
func (t *Tracker) readMaps(pid uint32) ([]mapping, error) {
	var list []mapping
	err := t.maps.read(procPath(pid, "maps"), func(r *rawRecord) {
		if len(list) == t.options.maxForProcess {
			t.state.refusedMappings++
			return
		}
		r.pid = pid
		m, _ := t.mapping(r)
		list = append(list, m)
	})
	return list, err
}

// scan reads what all processes have mapped.
func (t *Tracker) scan() error {
	pids, err := processes()
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, pid := range pids {
		checked := bootTime()
		list, err := t.readMaps(pid)
		if err != nil {
			continue // it has ended, or is a thread of the kernel
		}
		t.state.adopt(pid, list, proof{}, 0, checked)
	}
	return nil
}

const (
	// rescueEvery bounds how often gizmo reads all doubtful processes again.
	rescueEvery = time.Second
	// rescueAtOnce is for how many processes it does so before others may look something up.
	rescueAtOnce = 64
)

// rescue reads again what processes have mapped about which lost records leave a doubt, before they end.
func (t *Tracker) rescue() {
	if !t.state.doubts || time.Since(t.rescued) < rescueEvery {
		return
	}
	t.drain(always)
	n := 0
	for pid, sp := range t.state.procs {
		if sp.doubted == 0 || sp.exited {
			continue
		}
		if n++; n > rescueAtOnce {
			return
		}
		if t.rescan(pid, nil, always) == nil {
			sp.exited, sp.ended = true, bootTime() // it is gone, or lives on as another space
		}
	}
	t.state.doubts = false
	t.rescued = time.Now()
}
