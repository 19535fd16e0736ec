// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/symbol"
)

// sums adds up rows in two steps. While batches come, it only counts by handles: that takes a look-up and no allocation for
// most rows, and the names of the stacks are not needed yet. fold then reads the stacks and adds up by their contents, because
// a handle may stand for another stack later, and processes that run the same code have different handles.
type sums struct {
	plan   *plan
	memory *budget
	each   func(*symbol.Stack) // gets each stack; may be nil

	labels  map[string]*labelSet // by the bytes of the values
	rows    map[rowKey]*sum
	scratch []byte

	intern  intern
	byStack map[stackKey]*sum
}

// labelSet is the values of all labelFields of a row.
type labelSet struct {
	labels []Label
	roots  []string
}

// rowKey is what rows have in common that are added up before the stacks are read.
type rowKey struct {
	stacks [maxStacks]event.Handle
	labels *labelSet
}

// stackKey is what the rows of a sample have in common.
type stackKey struct {
	stack  *stack
	labels *labelSet
}

// budget is the memory that is left, in bytes.
type budget struct{ left int }

// take reports whether there are so many bytes, and takes them.
func (b *budget) take(bytes int) bool {
	if bytes > b.left {
		return false
	}
	b.left -= bytes
	return true
}

type sum struct{ rows, value int64 }

func (s *sum) add(rows, value int64) {
	s.rows, s.value = addTo(s.rows, rows), addTo(s.value, value)
}

// addTo adds two numbers, and stays at the ends of the range.
func addTo(a, b int64) int64 {
	c := a + b
	switch {
	case a > 0 && b > 0 && c < 0:
		return math.MaxInt64
	case a < 0 && b < 0 && c >= 0:
		return math.MinInt64
	}
	return c
}

func newSums(p *plan, memory int) *sums {
	s := &sums{plan: p, memory: &budget{memory}, labels: make(map[string]*labelSet)}
	s.intern = newIntern(s.memory)
	s.forget()
	return s
}

// What an entry takes, in bytes, beside the texts: TestMemory.
const (
	sumCost   = 224 // with its sample in the profile
	labelCost = 160
)

// forget begins again. It keeps the labels and stacks that it knows, because the next array is likely to have the same.
func (s *sums) forget() {
	s.memory.left += sumCost * (len(s.rows) + len(s.byStack))
	s.rows, s.byStack = make(map[rowKey]*sum), make(map[stackKey]*sum)
}

// add adds a row. It returns false if there is no memory for it.
func (s *sums) add(b *event.Batch, row int) bool {
	key := rowKey{labels: s.labelsOf(b, row)}
	if key.labels == nil {
		return false
	}
	for i := range s.plan.stacks {
		key.stacks[i] = s.plan.stacks[i].column.At(b, row)
	}
	entry := s.rows[key]
	if entry == nil {
		if !s.memory.take(sumCost) {
			return false
		}
		entry = new(sum)
		s.rows[key] = entry
	}
	entry.add(1, s.valueOf(b, row))
	return true
}

func (s *sums) valueOf(b *event.Batch, row int) int64 {
	r := s.plan.value
	if r == nil {
		return 1
	}
	if r.Form() == event.FormInt {
		v, _ := r.Int(b, row)
		return v
	}
	v, _ := r.Uint(b, row)
	return int64(min(v, math.MaxInt64))
}

// maxLabel limits the text of a label. A trailing path of 4096 bytes fits.
const maxLabel = 4096

// labelsOf returns the labels of a row; nil if there is no memory for them.
func (s *sums) labelsOf(b *event.Batch, row int) *labelSet {
	s.scratch = s.scratch[:0]
	for i := range s.plan.labels {
		at := len(s.scratch)
		s.scratch = append(s.scratch, 0, 0, 0, 0)
		s.scratch = s.plan.labels[i].reader.Append(s.scratch, b, row)
		s.scratch = s.scratch[:min(len(s.scratch), at+4+maxLabel)]
		binary.LittleEndian.PutUint32(s.scratch[at:], uint32(len(s.scratch)-at-4))
	}
	if set, ok := s.labels[string(s.scratch)]; ok {
		return set
	}
	if !s.memory.take(2*len(s.scratch) + labelCost*(1+len(s.plan.labels))) {
		return nil
	}
	set := s.newLabels(s.scratch)
	s.labels[string(s.scratch)] = set
	return set
}

// newLabels makes the labels of a row from the bytes that labelsOf has made.
func (s *sums) newLabels(values []byte) *labelSet {
	type frame struct {
		level int
		text  string
	}
	set := &labelSet{}
	var frames []frame
	for i := range s.plan.labels {
		l := &s.plan.labels[i]
		n := binary.LittleEndian.Uint32(values)
		text := valid(string(values[4 : 4+n]))
		values = values[4+n:]
		if text == "" {
			continue
		}
		if l.isLabel {
			set.labels = append(set.labels, newLabel(l, text))
		}
		if l.level != noLevel {
			frames = append(frames, frame{l.level, text})
		}
	}
	slices.SortStableFunc(frames, func(a, b frame) int { return a.level - b.level })
	for _, f := range frames {
		set.roots = append(set.roots, f.text)
	}
	return set
}

// fold moves the rows to the samples, and returns how many rows there is no memory for.
func (s *sums) fold() (lost int) {
	known := make(map[[maxStacks]event.Handle]*stack)
	s.intern.calls = make(map[call]numberedFrame)
	defer func() { s.intern.calls = nil }()
	for key, entry := range s.rows {
		st, ok := known[key.stacks]
		if !ok {
			st = s.stackOf(key.stacks)
			known[key.stacks] = st
		}
		if st == nil {
			lost += int(entry.rows)
			s.memory.left += sumCost
			continue
		}
		sample := stackKey{st, key.labels}
		if old := s.byStack[sample]; old != nil {
			old.add(entry.rows, entry.value)
			s.memory.left += sumCost
		} else {
			s.byStack[sample] = entry
		}
	}
	s.rows = make(map[rowKey]*sum)
	return lost
}

// stackOf returns the stack of a row, that of the kernel on top of that of the process unless the annotations say otherwise; nil if there is
// no memory for it.
func (s *sums) stackOf(handles [maxStacks]event.Handle) *stack {
	var found []*symbol.Stack
	for i := range s.plan.stacks {
		if h := handles[i]; h != 0 {
			if st := s.plan.stacks[i].stacks.Stack(h); st != nil && len(st.Locations) > 0 {
				found = append(found, st)
				if s.each != nil {
					s.each(st)
				}
			}
		}
	}
	if !s.plan.explicit {
		slices.SortStableFunc(found, kernelFirst)
	}
	return s.intern.stack(found)
}

func kernelFirst(a, b *symbol.Stack) int {
	switch x, y := isOfKernel(a), isOfKernel(b); {
	case x == y:
		return 0
	case x:
		return -1
	}
	return 1
}

func isOfKernel(s *symbol.Stack) bool {
	return slices.ContainsFunc(s.Locations, func(l *symbol.Location) bool { return l.Module != nil && l.Module.Kernel })
}

// samples returns the samples, after fold.
func (s *sums) samples(values func(rows, value int64) []int64) []Sample {
	all := make([]Sample, 0, len(s.byStack))
	for key, sum := range s.byStack {
		all = append(all, Sample{Stack: key.stack.frames, Roots: key.labels.roots, Labels: key.labels.labels, Values: values(sum.rows, sum.value)})
	}
	return all
}
