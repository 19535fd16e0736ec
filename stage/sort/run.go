// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package sort

import (
	"unsafe"

	"github.com/gizmo-ebpf/gizmo/event"
)

// run holds rows that arrived together. Its memory is reused.
type run struct {
	table          // their keys
	data    []byte // the rows, back to back
	ends    []uint32
	handles []event.Handle // of the columns, row by row
	bytes   int            // of all this that is in use
	slice   int64          // when the rows arrived
	rank    uint64         // among the runs, by arrival
	next    int            // index in items of the first row that has not left
	after   *run           // in a queue or stack
	size    int            // of its memory, in bytes, when it was last looked at
}

func (r *run) begin(slice int64, rank uint64) {
	r.reset()
	r.data, r.ends, r.handles = r.data[:0], r.ends[:0], r.handles[:0]
	r.bytes, r.slice, r.rank, r.next = 0, slice, rank, 0
}

// grown returns by how many bytes the run's memory has grown since the last call.
func (r *run) grown() int {
	before := r.size
	r.size = bytesOf(r.words) + bytesOf(r.texts) + bytesOf(r.items) + bytesOf(r.data) + bytesOf(r.ends) + bytesOf(r.handles)
	return r.size - before
}

func bytesOf[T any](s []T) int {
	var one T
	return cap(s) * int(unsafe.Sizeof(one))
}

func (r *run) head() item  { return r.items[r.next] }
func (r *run) empty() bool { return r.next == len(r.items) }

// add copies a row of b and its handles.
func (r *run) add(b *event.Batch, row int, columns []event.Column) {
	r.data = append(r.data, b.Rows[row]...)
	r.ends = append(r.ends, uint32(len(r.data)))
	for _, c := range columns {
		r.handles = append(r.handles, c.At(b, row))
	}
}

// pop returns the first row and its handles. They stay valid until the run is reused.
func (r *run) pop() (rec []byte, handles []event.Handle) {
	row := r.items[r.next].row
	r.next++
	start := uint32(0)
	if row > 0 {
		start = r.ends[row-1]
	}
	columns := len(r.handles) / len(r.ends)
	return r.data[start:r.ends[row]:r.ends[row]], r.handles[int(row)*columns:][:columns]
}

// merge is a heap of sorted runs: the first run has the row that comes before all others.
type merge struct {
	keys  *keys
	heads []head
}

// head is a run with the key of its first row.
type head struct {
	first uint64 // of the row's key
	run   *run
}

func (m *merge) less(a, b head) bool {
	if a.first != b.first {
		return a.first < b.first
	}
	c := m.keys.compareAll(&a.run.table, a.run.head().row, &b.run.table, b.run.head().row)
	return c < 0 || c == 0 && a.run.rank < b.run.rank
}

// push adds a run that has rows.
func (m *merge) push(r *run) {
	m.heads = append(m.heads, head{r.head().first, r})
	for i := len(m.heads) - 1; i > 0; {
		parent := (i - 1) / 2
		if !m.less(m.heads[i], m.heads[parent]) {
			return
		}
		m.heads[i], m.heads[parent] = m.heads[parent], m.heads[i]
		i = parent
	}
}

// pop removes the first of all rows and returns it with its handles.
func (m *merge) pop() (rec []byte, handles []event.Handle) {
	r := m.heads[0].run
	rec, handles = r.pop()
	if r.empty() {
		last := len(m.heads) - 1
		m.heads[0], m.heads[last] = m.heads[last], head{}
		m.heads = m.heads[:last]
	} else {
		m.heads[0].first = r.head().first
	}
	m.sink()
	return rec, handles
}

// sink moves the first run to its place in the heap.
func (m *merge) sink() {
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(m.heads); child++ {
			if m.less(m.heads[child], m.heads[least]) {
				least = child
			}
		}
		if least == i {
			return
		}
		m.heads[i], m.heads[least] = m.heads[least], m.heads[i]
		i = least
	}
}

// queue is a list of runs: first in, first out.
type queue struct {
	first, last *run
	size        int
}

func (q *queue) push(r *run) {
	r.after = nil
	if q.first == nil {
		q.first = r
	} else {
		q.last.after = r
	}
	q.last = r
	q.size++
}

func (q *queue) pop() {
	q.first = q.first.after
	q.size--
}

// stack is a list of runs: last in, first out.
type stack struct{ top *run }

func (s *stack) push(r *run) {
	r.after = s.top
	s.top = r
}

func (s *stack) pop() *run {
	r := s.top
	if r != nil {
		s.top, r.after = r.after, nil
	}
	return r
}
