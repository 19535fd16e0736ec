// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package stacks gives gadgets a table of stacks in place of the kernel's. A map of the type STACK_TRACE has one slot for all stacks
// whose hashes agree in their lowest bits, so that one of them is lost. Here programs send each stack to gizmo when they first meet it.
package stacks

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/cilium/ebpf"

	"github.com/gizmo-ebpf/gizmo/gadget/internal/ring"
)

// DefaultBudget is how many bytes of memory a table takes for stacks: some 250,000 of 24 addresses.
const DefaultBudget = 32 << 20

// patience limits how long a look-up waits for a program on another CPU that is writing to the ring at that moment: the stack may be
// behind what it writes.
const patience = time.Millisecond

// Lost counts stacks that gizmo cannot show. Events have an error in place of the id of those that programs did not send.
type Lost struct {
	// Full counts stacks for which the ring had no room.
	Full uint64
	// Busy counts stacks of programs that interrupted too many others.
	Busy uint64
	// Exhausted counts stacks for which there was no number left: a run has two billion.
	Exhausted uint64
	// Forgotten counts look-ups of stacks that came so long ago that their memory has been used for others.
	Forgotten uint64
}

// Total is the sum.
func (l Lost) Total() uint64 { return l.Full + l.Busy + l.Exhausted + l.Forgotten }

// Table has the stacks that programs have met. All methods but Close may be called by several goroutines at once.
type Table struct {
	keys, lost *ebpf.Map
	buildIDs   *buildIDs // nil: the gadget has none
	budget     int
	unwind     Unwind
	reader     sync.WaitGroup

	mu        sync.Mutex // guards what follows; an event waits for it as long as the reader puts away some stacks
	ring      *ring.Ring
	now       store
	before    store    // the stacks of an earlier time
	joined    []byte   // a record that was in two pieces
	fp        []uint64 // of a sample
	unwound   []byte
	forgotten uint64
	ending    bool
	err       error
}

// Sample is what there is to find the callers in a process.
type Sample struct {
	// PID is the process in the initial pid namespace.
	PID uint32
	// Time is in nanoseconds since boot.
	Time uint64
	// Bytes are u64 ip, sp, bp, bx, r12, r13, r14, r15, u32 the length of the stack, u32 0, and the stack from sp up.
	Bytes []byte
	// ByFramePointers is what the kernel has found.
	ByFramePointers []uint64
}

// Unwind returns the addresses of a stack, the innermost first, and then 0 if callers are missing. It is called once for each sample, soon after
// the program has sent it, by one goroutine at a time. It keeps nothing of the sample, and what it returns is copied. It returns false if it finds nothing; the stack
// is then the one by frame pointers.
type Unwind func(s Sample) (addresses []uint64, ok bool)

// Open returns the table of an object that Link has changed, whose maps are these. They remain the caller's, and must stay open
// until the table is closed. budget is the memory in bytes; 0 means DefaultBudget. unwind is nil if there are no
// samples.
func Open(maps map[string]*ebpf.Map, budget int, unwind Unwind) (*Table, error) {
	if budget == 0 {
		budget = DefaultBudget
	}
	t := &Table{keys: maps[mapKeys], lost: maps[mapLost], budget: budget, unwind: unwind, buildIDs: newBuildIDs(maps[BuildIDsMap])}
	m := maps[mapRing]
	if m == nil || t.keys == nil || t.lost == nil {
		return nil, errors.New("the object has no table of stacks")
	}
	var err error
	if t.ring, err = ring.Open(m.FD(), int(m.MaxEntries())); err != nil {
		return nil, fmt.Errorf("stacks: %w", err)
	}
	t.now.begin(1)
	t.reader.Go(t.read)
	return t, nil
}

// read empties the ring whenever a quarter of it is full. Programs wake it then.
func (t *Table) read() {
	for {
		err := t.ring.Wait(-1)
		t.mu.Lock()
		t.drain(0)
		t.ring.Trim()
		if t.err == nil {
			t.err = err
		}
		end := t.ending || t.err != nil
		t.mu.Unlock()
		if end {
			return
		}
	}
}

// drain takes what is in the ring: up to the stack with an id, or all if it is 0. The caller holds t.mu.
func (t *Table) drain(until uint32) {
	for {
		head, tail, ok := t.ring.Next()
		if !ok {
			break
		}
		if id := t.take(head, tail); id == until && id != 0 {
			break
		}
	}
	t.ring.Release()
	if t.err == nil {
		t.err = t.ring.Err()
	}
}

// take puts a record away, and returns its id.
func (t *Table) take(head, tail []byte) uint32 {
	if len(tail) > 0 {
		t.joined = append(append(t.joined[:0], head...), tail...)
		head = t.joined
	}
	if len(head) < recordBody {
		return 0
	}
	id := binary.NativeEndian.Uint32(head[recordID:])
	kind := binary.NativeEndian.Uint32(head[recordKind:])
	if kind == kindSample {
		if len(head) >= recordSample && t.unwind != nil {
			t.unwindNow(id, head)
		}
		return id
	}
	t.put(id, kind == kindUser, head[recordBody:])
	return id
}

// unwindNow finds the callers of a sample, so that only their addresses need memory.
func (t *Table) unwindNow(id uint32, record []byte) {
	fp, _, _ := t.get(t.fp[:0], binary.NativeEndian.Uint32(record[recordFP:]))
	t.fp = fp
	addresses, ok := t.unwind(Sample{
		PID: binary.NativeEndian.Uint32(record[recordTgid:]), Time: binary.NativeEndian.Uint64(record[recordTime:]),
		Bytes: record[recordSample:], ByFramePointers: fp,
	})
	if !ok {
		addresses = fp
	}
	t.unwound = t.unwound[:0]
	for _, a := range addresses {
		t.unwound = binary.NativeEndian.AppendUint64(t.unwound, a)
	}
	t.put(id, true, t.unwound)
}

// put adds a stack. When half of the budget is used, the older half of the stacks is forgotten.
func (t *Table) put(id uint32, user bool, addresses []byte) {
	if !t.now.has(id) {
		// Two programs have taken ids at the same time, and the second one was faster.
		if t.before.has(id) && t.before.first != 0 {
			t.before.put(id, user, addresses)
		}
		return
	}
	if t.now.size() > 0 && t.now.grown(id, len(addresses)) > t.budget/2 {
		t.renew(id)
	}
	t.now.put(id, user, addresses)
}

// renew begins a new time: programs send each stack again when they meet it, because its hash is another, and it gets another id.
// So no id is in use any more when its stack is forgotten, but for events that wait longer than half of the budget lasts.
func (t *Table) renew(id uint32) {
	t.now, t.before = t.before, t.now
	t.now.begin(id)
	if err := t.keys.Put(uint32(0), newKeys()); err != nil && t.err == nil {
		t.err = fmt.Errorf("stacks: change the hash: %w", err)
	}
}

// Append appends the addresses of a stack to dst, the innermost first. ok is false if there is no such stack, or if it was forgotten.
// user says that it is a stack of a process, rather than of the kernel. A program has sent a stack before it has the id, so
// look-ups do not wait. A stack may have several ids.
func (t *Table) Append(dst []uint64, id uint32) (addresses []uint64, user, ok bool) {
	if !isID(id) {
		return dst, false, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.await(id)
	if dst, user, ok = t.get(dst, id); !ok {
		t.forgotten++
	}
	return dst, user, ok
}

// isID reports whether a field has the id of a stack, rather than an error or nothing.
func isID(id uint32) bool { return int32(id) > 0 }

func (t *Table) get(dst []uint64, id uint32) (addresses []uint64, user, ok bool) {
	if t.now.has(id) {
		return t.now.get(dst, id)
	}
	return t.before.get(dst, id)
}

// has reports whether the table has something with an id.
func (t *Table) has(id uint32) bool {
	s := &t.now
	if !s.has(id) {
		s = &t.before
	}
	at := int(id) - int(s.first)
	return at >= 0 && at < len(s.index) && s.index[at] != 0
}

// await reads the ring until the table has the id. It is not there if it was forgotten.
func (t *Table) await(id uint32) {
	if t.has(id) {
		return
	}
	t.drain(id)
	if t.has(id) || !t.ring.Busy() {
		return
	}
	for end := time.Now().Add(patience); !t.has(id) && t.ring.Busy() && time.Now().Before(end); t.drain(id) {
		runtime.Gosched()
	}
}

// Lost returns what was lost so far.
func (t *Table) Lost() (Lost, error) {
	var counts [lostKinds]uint64
	for i := range counts {
		var each []uint64
		if err := t.lost.Lookup(uint32(i), &each); err != nil {
			return Lost{}, fmt.Errorf("read the counters of lost stacks: %w", err)
		}
		for _, n := range each {
			counts[i] += n
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return Lost{Full: counts[lostFull], Busy: counts[lostBusy], Exhausted: counts[lostExhausted], Forgotten: t.forgotten}, t.err
}

// Close ends the table.
func (t *Table) Close() error {
	t.mu.Lock()
	t.ending = true
	t.mu.Unlock()
	t.ring.Wake()
	t.reader.Wait()
	return t.ring.Close()
}
