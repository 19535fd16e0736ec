// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package container

import (
	"sync/atomic"

	"github.com/gizmo-ebpf/gizmo/event"
)

// record is the container of a handle, with its formatted texts.
type record struct {
	*Container
	texts [fieldCount]atomic.Pointer[[]byte]
}

// table gives the values of one field.
type table struct {
	set   *Set
	index int
	field Field
}

// Table returns a table of the values of the field with this index in Fields, by the handles of the set. Each text is
// formatted once for a container.
func (s *Set) Table(index int) event.Table { return &table{s, index, Fields()[index]} }

// Bytes implements event.Table.
func (t *table) Bytes(h event.Handle) []byte {
	r := t.set.known.at(h)
	if r == nil || t.field.text == nil {
		return nil
	}
	if text := r.texts[t.index].Load(); text != nil {
		return *text
	}
	text := []byte(t.field.text(r.Container))
	r.texts[t.index].Store(&text)
	return text
}

// Bits implements event.Table.
func (t *table) Bits(h event.Handle) uint64 {
	r := t.set.known.at(h)
	if r == nil || t.field.bits == nil {
		return 0
	}
	return t.field.bits(r.Container)
}
