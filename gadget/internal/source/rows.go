// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package source

// rows gives records the length that batches promise: those that are shorter than their struct
// are copied to a slot and padded with zeros. Slots are reused from batch to batch.
type rows struct {
	size  int    // of the struct
	slots []byte // back to back
	used  []int  // bytes of each slot that may be other than zero
	wraps wraps
}

// wraps holds the records of a batch that are longer than the struct and came in two pieces: at most
// one from each buffer.
type wraps struct {
	texts [][]byte
	used  int
}

func (w *wraps) join(head, tail []byte) []byte {
	if w.used == len(w.texts) {
		w.texts = append(w.texts, nil)
	}
	text := &w.texts[w.used]
	w.used++
	*text = append(append((*text)[:0], head...), tail...)
	return *text
}

// maxSlotBytes limits the memory of the slots; large structs get fewer. Rows in slots should
// still be in the processor's cache when they are read.
const maxSlotBytes = 128 << 10

func newRows(size uint32) rows {
	n := min(max(maxSlotBytes/int(size), 16), MaxBatchRows)
	return rows{size: int(size), slots: make([]byte, n*int(size)), used: make([]int, n)}
}

// max is the number of rows that a batch can have.
func (r *rows) max() int { return len(r.used) }

// begin is called before the rows of a batch.
func (r *rows) begin() { r.wraps.used = 0 }

// row returns row number i of a batch with the bytes of a record that comes in two pieces, of
// which the second is mostly empty. The result may be the first piece itself.
func (r *rows) row(i int, head, tail []byte) []byte {
	if len(tail) == 0 && len(head) >= r.size {
		return head
	}
	return r.copy(i, head, tail)
}

// copy is row for a record whose memory is about to be reused.
func (r *rows) copy(i int, head, tail []byte) []byte {
	n := len(head) + len(tail)
	if n > r.size {
		return r.wraps.join(head, tail)
	}
	slot := r.slots[i*r.size : (i+1)*r.size : (i+1)*r.size]
	copy(slot, head)
	copy(slot[len(head):], tail)
	if n < r.used[i] {
		clear(slot[n:r.used[i]])
	}
	r.used[i] = n
	return slot
}
