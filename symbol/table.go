// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package symbol

import (
	"sync"

	"github.com/gizmo-ebpf/gizmo/event"
)

// Table has the stacks of the handles of a column. It forgets them by generations, because a run may have more stacks than
// memory. It is safe for use by several goroutines at once. The zero value is empty.
type Table struct {
	mu          sync.RWMutex
	generations []map[event.Handle]*Stack // the oldest first
	beforeDrop  []func()
}

// Open begins a generation.
func (t *Table) Open() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.generations = append(t.generations, make(map[event.Handle]*Stack))
}

// Put adds a stack to the last generation, which Open has begun. The stack must not change any more.
func (t *Table) Put(h event.Handle, s *Stack) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.generations[len(t.generations)-1][h] = s
}

// BeforeDrop has do called before stacks are forgotten, for callers that keep handles for long.
func (t *Table) BeforeDrop(do func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.beforeDrop = append(t.beforeDrop, do)
}

// DropOldest forgets the oldest generation.
func (t *Table) DropOldest() {
	t.mu.RLock()
	all := t.beforeDrop
	t.mu.RUnlock()
	for _, do := range all {
		do()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.generations = t.generations[1:]
}

// Stack implements [Stacks].
func (t *Table) Stack(h event.Handle) *Stack {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for i := len(t.generations) - 1; i >= 0; i-- {
		if s := t.generations[i][h]; s != nil {
			return s
		}
	}
	return nil
}

// Text is the [event.Table] of a field with the text of stacks. It is safe for use by several goroutines at once.
type Text struct {
	*Table
	// Format says what the text shows.
	Format Format

	most  int // bytes of texts to keep
	mu    sync.RWMutex
	texts map[event.Handle][]byte
	size  int // of all texts
}

var _ interface {
	event.Table
	Stacks
} = (*Text)(nil)

// NewText returns the table of the text of the stacks of a column. It keeps texts of up to that many bytes together, and makes all others anew each
// time that they are asked for.
func NewText(stacks *Table, f Format, keep int) *Text {
	return &Text{Table: stacks, Format: f, most: keep}
}

// Bytes implements [event.Table].
func (t *Text) Bytes(h event.Handle) []byte {
	t.mu.RLock()
	text, ok := t.texts[h]
	t.mu.RUnlock()
	if ok {
		return text
	}
	s := t.Stack(h)
	if s == nil {
		return nil
	}
	text = s.Append(nil, t.Format)
	if len(text) <= t.most {
		t.keep(h, text)
	}
	return text
}

func (t *Text) keep(h event.Handle, text []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.texts == nil || t.size+len(text) > t.most {
		t.texts, t.size = make(map[event.Handle][]byte), 0
	}
	t.texts[h] = text
	t.size += len(text)
}

// Bits implements [event.Table]. A stack has none.
func (t *Text) Bits(event.Handle) uint64 { return 0 }

// NoText is the [event.Table] of a field that has no value for any handle.
type NoText struct{}

// Bytes implements [event.Table].
func (NoText) Bytes(event.Handle) []byte { return nil }

// Bits implements [event.Table].
func (NoText) Bits(event.Handle) uint64 { return 0 }
