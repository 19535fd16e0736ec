// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package encode

import "github.com/gizmo-ebpf/gizmo/event"

// columnMemo writes the values that follow from one column's handle, with the text before them, and keeps all of it: the values
// of a handle never change.
type columnMemo struct {
	column event.Column
	prefix string
	enc    *jsonEncoder
	slots  [1 << memoBits]columnSlot
}

// columnSlot has the text of the last handle in this slot.
type columnSlot struct {
	handle event.Handle
	known  bool
	text   []byte
}

func (m *columnMemo) append(dst []byte, b *event.Batch, row int) []byte {
	h := m.column.At(b, row)
	slot := &m.slots[h%(1<<memoBits)]
	if slot.handle == h && slot.known {
		return append(dst, slot.text...)
	}
	start := len(dst)
	dst = m.enc.appendRow(append(dst, m.prefix...), b, row)
	if slot.known = len(dst)-start <= maxMemoText; slot.known {
		slot.handle, slot.text = h, append(slot.text[:0], dst[start:]...)
	}
	return dst
}

// columnRun returns how many of the steps at the beginning follow from the same column.
func columnRun(steps []step) (n int, column event.Column) {
	for ; n < len(steps); n++ {
		c, ok := steps[n].columnOf()
		if !ok || n > 0 && c != column {
			break
		}
		column = c
	}
	return n, column
}

// columnOf returns the column that the value follows from.
func (v *value) columnOf() (c event.Column, ok bool) {
	switch v.op {
	case opColumnMemo:
		return v.columns.column, true
	case opColumnText, opColumnBytes, opColumnNumber:
		c, _ = v.reader.Column()
		return c, true
	}
	return c, false
}

// columnStep returns the step that replaces steps that follow from one column.
func columnStep(p *plan, steps []step, column event.Column) step {
	sub, prefix := planOf(p, steps)
	return step{value: value{op: opColumnMemo, columns: &columnMemo{column: column, prefix: prefix, enc: newJSONEncoder(sub)}}}
}

// rememberColumns replaces adjacent values that follow from one column by a memo.
func rememberColumns(p *plan) {
	var out []step
	for i := 0; i < len(p.steps); {
		n, column := columnRun(p.steps[i:])
		if n > 1 && p.takeMemo() {
			out = append(out, columnStep(p, p.steps[i:i+n], column))
		} else {
			n = 1
			out = append(out, p.steps[i])
		}
		i += n
	}
	p.steps = out
}
