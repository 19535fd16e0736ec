// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package encode

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/gizmo-ebpf/gizmo/event"
)

// jsonMemo writes values that depend on a few bytes of the record, and on what stages found out about the event, and keeps the
// text: events that come together are often of the same few processes, with the same flags and errors.
type jsonMemo struct {
	memoKey
	enc   *jsonEncoder
	slots [1 << memoBits]memoSlot
	epoch uint64

	// last is the slot of the row before. If the two rows before had the same slot, it is tried first.
	last   *memoSlot
	repeat bool

	// asked counts rows, known those whose text was in a slot. If few were, the memo pauses for
	// some rows.
	asked, known, rest uint32
}

// memoBits is the binary logarithm of the number of texts that are kept: about as many as processes
// run at once on a large host.
const memoBits = 6

// memoKey is what the values depend on.
type memoKey struct {
	reads   []event.Span   // bytes of the record: separate ranges, in order
	columns []event.Column // what stages found out
}

// memoSlot holds some bytes of a record, the handles of its columns, and their text.
type memoSlot struct {
	epoch       uint64
	bytes, text []byte
	handles     []event.Handle
}

// maxMemoBytes limits the bytes that are compared. Comparing more takes as long as writing the values.
const maxMemoBytes = 128

// A memo that knew fewer than half of trialRows rows pauses for the next restRows.
const (
	trialRows = 256
	restRows  = 16384
)

// newJSONMemo returns a memo of the values that an encoder writes, which depend on the key.
func newJSONMemo(key memoKey, enc *jsonEncoder) *jsonMemo {
	m := &jsonMemo{memoKey: key, enc: enc, epoch: 1}
	size := uint32(0)
	for _, r := range key.reads {
		size += r.Size
	}
	for i := range m.slots {
		m.slots[i].bytes = make([]byte, size)
		m.slots[i].handles = make([]event.Handle, len(key.columns))
	}
	m.last = &m.slots[0]
	return m
}

// joined returns the same bytes in as few spans as possible, or none if there are too many bytes.
func joined(reads []event.Span) []event.Span {
	slices.SortFunc(reads, func(a, b event.Span) int { return cmp.Compare(a.Off, b.Off) })
	var out []event.Span
	for _, r := range reads {
		if n := len(out); n > 0 && r.Off <= out[n-1].Off+out[n-1].Size {
			last := &out[n-1]
			last.Size = max(last.Size, r.Off+r.Size-last.Off)
			continue
		}
		out = append(out, r)
	}
	sum := uint64(0)
	for _, r := range out {
		sum += uint64(r.Size)
	}
	if sum > maxMemoBytes {
		return nil
	}
	return out
}

// forget discards all remembered texts.
func (m *jsonMemo) forget() {
	m.epoch++
	m.enc.forget()
}

func (m *jsonMemo) append(dst []byte, b *event.Batch, row int) []byte {
	if m.rest > 0 {
		m.rest--
		return m.enc.appendRow(dst, b, row)
	}
	if m.asked++; m.asked > trialRows {
		m.judge()
	}
	if !m.look(b, row) || m.last.epoch != m.epoch {
		return m.renew(dst, b, row)
	}
	m.known++
	return append(dst, m.last.text...)
}

// look finds the row's slot and reports whether the slot has the same bytes and handles.
func (m *jsonMemo) look(b *event.Batch, row int) bool {
	if m.repeat && m.last.is(&m.memoKey, b, row) {
		return true
	}
	before := m.last
	m.last = &m.slots[m.hash(b, row)]
	m.repeat = m.last == before
	return m.last.is(&m.memoKey, b, row)
}

// is reports whether the bytes and handles of a row are those of the slot.
func (s *memoSlot) is(key *memoKey, b *event.Batch, row int) bool {
	for i, c := range key.columns {
		if s.handles[i] != c.At(b, row) {
			return false
		}
	}
	rec, at := b.Rows[row], uint32(0)
	for _, r := range key.reads {
		if !bytes.Equal(s.bytes[at:at+r.Size], rec[r.Off:r.Off+r.Size]) {
			return false
		}
		at += r.Size
	}
	return true
}

// hash chooses the slot of a row. If two rows have the same slot, the newer one replaces the older. The hash is a sum,
// so that a processor can compute its parts in parallel.
func (k *memoKey) hash(b *event.Batch, row int) uint64 {
	var h uint64
	factor := uint64(hashFactor)
	for _, c := range k.columns {
		h += uint64(c.At(b, row)) * factor
		factor += hashStep
	}
	rec := b.Rows[row]
	for _, r := range k.reads {
		p := rec[r.Off : r.Off+r.Size]
		for ; len(p) >= 8; p = p[8:] {
			h += binary.LittleEndian.Uint64(p) * factor
			factor += hashStep
		}
		if len(p) >= 4 {
			h += uint64(binary.LittleEndian.Uint32(p)) * factor
			factor += hashStep
			p = p[4:]
		}
		for _, c := range p {
			h += uint64(c) * factor
			factor += hashStep
		}
	}
	return (h ^ h>>32) * hashFactor >> (64 - memoBits)
}

// The bits of both have no pattern. The factor is odd, and stays odd with each step, so that no bit of a word
// is lost.
const hashFactor, hashStep = 0x9e3779b97f4a7c15, 0xd1342543de82ef94

// renew writes the values and keeps what it wrote in the row's slot.
func (m *jsonMemo) renew(dst []byte, b *event.Batch, row int) []byte {
	start := len(dst)
	dst = m.enc.appendRow(dst, b, row)
	slot := m.last
	slot.bytes = slot.bytes[:0]
	for _, r := range m.reads {
		slot.bytes = append(slot.bytes, b.Rows[row][r.Off:r.Off+r.Size]...)
	}
	for i, c := range m.columns {
		slot.handles[i] = c.At(b, row)
	}
	if slot.epoch = 0; len(dst)-start <= maxMemoText {
		slot.text = append(slot.text[:0], dst[start:]...)
		slot.epoch = m.epoch
	}
	return dst
}

// judge decides from the rows since the last decision whether remembering pays.
func (m *jsonMemo) judge() {
	if m.known < m.asked/2 {
		m.rest = restRows
	}
	m.asked, m.known = 0, 0
}

// memoMembers is the least number of values for which comparing the bytes of a struct is quicker than
// writing it.
const memoMembers = 4

// maxMemoText is the length of the longest text that is remembered: longer than what is known of a container.
const maxMemoText = 2 << 10

// remembered returns a value that replaces all steps of a plan, and the text after them, if all of
// them depend on few enough bytes.
func remembered(p *plan) (value, bool) {
	var key memoKey
	for i := range p.steps {
		k, ok := p.steps[i].key()
		if !ok {
			return value{}, false
		}
		key.reads = append(key.reads, k.reads...)
		for _, c := range k.columns {
			if !slices.Contains(key.columns, c) {
				key.columns = append(key.columns, c)
			}
		}
	}
	if key.reads = joined(key.reads); len(key.reads) == 0 {
		return value{}, false
	}
	if !p.takeMemo() {
		return value{}, false
	}
	return value{op: opMemo, memo: newJSONMemo(key, newJSONEncoder(p))}, true
}

// key returns what the value depends on; false if it depends on other things as well.
func (v *value) key() (memoKey, bool) {
	c, ok := v.columnOf()
	switch {
	case ok:
		return memoKey{columns: []event.Column{c}}, true
	case v.op == opMemo:
		return v.memo.memoKey, true
	case v.reads.Size > 0:
		return memoKey{reads: []event.Span{v.reads}}, true
	}
	return memoKey{}, false
}

// rememberRuns replaces adjacent values that depend on few bytes and columns by memos, if texts of fields
// are among them: writing these takes the time. First it replaces adjacent values of one column by a memo of the column.
func rememberRuns(p *plan) {
	rememberColumns(p)
	var out []step
	for i := 0; i < len(p.steps); {
		n, texts := run(p.steps[i:])
		if n > 1 && texts > 0 {
			if st, ok := runStep(p, p.steps[i:i+n]); ok {
				out = append(out, st)
				i += n
				continue
			}
		}
		n = max(n, 1)
		out = append(out, p.steps[i:i+n]...)
		i += n
	}
	p.steps = out
}

// run returns the length of the run of values at the beginning of steps, and how many of them are texts.
func run(steps []step) (n, texts int) {
	for ; n < len(steps) && steps[n].isTag(); n++ {
		if steps[n].text != nil || steps[n].op == opMemo || steps[n].op == opColumnMemo {
			texts++
		}
	}
	return n, texts
}

// runStep returns the step that replaces a whole run.
func runStep(p *plan, steps []step) (step, bool) {
	sub, prefix := planOf(p, steps)
	v, ok := remembered(sub)
	return step{prefix: prefix, value: v}, ok
}

// planOf returns some steps of a plan as a separate plan, without the text before the first, which it also returns.
func planOf(p *plan, steps []step) (sub *plan, prefix string) {
	steps = slices.Clone(steps)
	prefix, steps[0].prefix = steps[0].prefix, ""
	return &plan{schema: p.schema, words: p.words, memos: p.memos, steps: steps}, prefix
}

// isTag reports whether the value is likely to be the same in many events: a code or flags, not an
// amount, a time or an address. A struct with its own memo, and what stages found out, can be a part of a run as well.
func (v *value) isTag() bool {
	_, ok := v.columnOf()
	return ok || v.op == opMemo || v.reads.Size > 0 && v.reads.Size <= 4
}
