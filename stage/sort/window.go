// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package sort

import (
	"github.com/gizmo-ebpf/gizmo/event"
)

const (
	// maxBatchRows is the largest number of rows that leave in one batch.
	maxBatchRows = 512
	// maxRunBytes is about how much a run holds.
	maxRunBytes = 64 << 10
	// spareBytes is how much memory runs may keep beyond twice that of the held rows.
	spareBytes = 1 << 20
)

// window holds the rows of one data source in runs. A run has the rows that arrived together, and is
// sorted once it is complete. Rows leave in the order of all runs merged.
//
// Time is counted in slices of the window.
type window struct {
	schema  *event.Schema
	columns []event.Column
	handles [][]event.Handle // of the rows that leave, for each column
	keys    *keys
	space   *space
	held    int  // bytes that the runs in the queue take up
	full    bool // rows have to leave before their time, because the space is full
	lost    []event.Loss

	queue queue // runs in the order of their arrival; the first has rows
	open  *run  // the last of them, while it still takes rows
	heads merge // the others that still have rows
	runs  uint64
}

// space is the memory that the windows of a source share.
type space struct {
	limit int // of held, in bytes
	held  int // bytes that the runs in the queues take up
	free  stack
	size  int // memory of all runs, in bytes: of those in the queues and of the free ones
	peaks peaks
}

// peaks are the most bytes that were held at a time, in this length of a window and in the one before.
type peaks struct {
	now, before int
	period      int64 // number of the window's length
}

func (p *peaks) note(held int, slice int64) {
	if period := slice / parts; period != p.period {
		p.before = 0
		if period == p.period+1 {
			p.before = p.now
		}
		p.now, p.period = 0, period
	}
	p.now = max(p.now, held)
}

func newWindow(schema *event.Schema, ks *keys, shared *space) *window {
	columns := schema.Columns()
	return &window{
		schema: schema, columns: columns, handles: make([][]event.Handle, len(columns)), keys: ks, space: shared, heads: merge{keys: ks},
	}
}

// isTooLong reports whether a row would take up so much of the space that it is not held.
func (w *window) isTooLong(rec []byte) bool { return len(rec) > w.space.limit/2 }

// add copies a row of b, unless there is no room. Then rows have to leave before the next try.
func (w *window) add(b *event.Batch, row int, now int64) bool {
	rec := b.Rows[row]
	need := len(rec) + rowBytes(w.keys) + 4*len(w.columns)
	if w.space.held > 0 && w.space.held+need > w.space.limit {
		return false
	}
	w.room(need, now)
	texts := len(w.open.texts)
	w.keys.add(&w.open.table, b, row)
	need += len(w.open.texts) - texts
	w.open.add(b, row, w.columns)
	w.open.bytes += need
	w.held += need
	w.space.held += need
	w.space.peaks.note(w.space.held, now)
	return true
}

// rowBytes is the number of bytes that a row takes up beside its record and texts.
func rowBytes(ks *keys) int { return 8*ks.words + 16 + 4 }

// room makes sure that open is a run with room for need more bytes.
func (w *window) room(need int, now int64) {
	if w.open != nil && (w.open.slice != now || w.open.bytes+need > min(maxRunBytes, w.space.limit/parts)) {
		w.seal()
	}
	if w.open != nil {
		return
	}
	w.open = w.space.free.pop()
	if w.open == nil {
		w.open = new(run)
	}
	w.runs++
	w.open.begin(now, w.runs)
	w.queue.push(w.open)
}

// seal makes the rows of the open run ready to leave.
func (w *window) seal() {
	if w.open == nil {
		return
	}
	w.keys.sort(&w.open.table)
	w.heads.push(w.open)
	w.open = nil
}

// due returns when the next rows have to leave.
func (w *window) due() (slice int64, ok bool) {
	if w.queue.first == nil {
		return 0, false
	}
	return w.queue.first.slice + parts + 1, true
}

// emit fills b with losses and with the rows that have to leave now, in order; if final is set, with
// all rows. It returns false if there are none.
func (w *window) emit(b *event.Batch, now int64, final bool) bool {
	if !w.mustGo(now, final) && len(w.lost) == 0 {
		return false
	}
	b.Reset(w.schema)
	b.Lost = append(b.Lost, w.lost...)
	w.lost = w.lost[:0]
	for len(b.Rows) < maxBatchRows && w.mustGo(now, final) {
		w.seal()
		w.letOut(b)
	}
	for i, c := range w.columns {
		copy(c.Fill(b), w.handles[i])
		w.handles[i] = w.handles[i][:0]
	}
	b.More = w.mustGo(now, final)
	return true
}

// mustGo reports whether a row has to leave: the run that arrived first must be empty in time. Until
// it is, all rows that sort before its rows leave.
func (w *window) mustGo(now int64, final bool) bool {
	due, some := w.due()
	return some && (final || w.full || due <= now)
}

// letOut moves the first of all rows to b. The row is valid until the next add.
func (w *window) letOut(b *event.Batch) {
	rec, handles := w.heads.pop()
	b.Rows = append(b.Rows, rec)
	for i, h := range handles {
		w.handles[i] = append(w.handles[i], h)
	}
	for r := w.queue.first; r != nil && r.empty(); r = w.queue.first {
		w.queue.pop()
		w.held -= r.bytes
		w.space.held -= r.bytes
		w.full = false
		w.space.recycle(r)
	}
}

// recycle keeps the memory of a run for reuse, unless the runs have more than the load of this and the last length of a window needed: what
// only a burst needed goes back to Go.
func (s *space) recycle(r *run) {
	s.free.push(r)
	s.size += r.grown()
	for s.size > 2*max(s.peaks.now, s.peaks.before)+spareBytes && s.free.top != nil {
		s.size -= s.free.pop().size
	}
}
