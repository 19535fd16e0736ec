// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/gizmo-ebpf/gizmo/event"
)

// measure fills w.lens and refuses rows that no reader would accept.
func (w *Writer) measure(b *event.Batch) error {
	w.lens = slices.Grow(w.lens[:0], len(b.Rows))[:len(b.Rows)]
	for i, row := range b.Rows {
		if len(row) > maxRow {
			return fmt.Errorf("a row of %d bytes; the limit is %d", len(row), maxRow)
		}
		w.lens[i] = storedLen(row, int(b.Schema.Size))
	}
	if len(b.Lost) > maxLosses {
		return fmt.Errorf("a batch with %d losses; the limit is %d", len(b.Lost), maxLosses)
	}
	for _, l := range b.Lost {
		if l.CPU < event.NoCPU || l.CPU >= maxCPUs {
			return fmt.Errorf("a loss on CPU %d", l.CPU)
		}
	}
	if b.Schema.Single {
		return nil
	}
	if n, _ := fit(w.lens, int(b.Schema.Size)); n < len(b.Rows) {
		return fmt.Errorf("an array of %d rows is too large for a frame", len(b.Rows))
	}
	return nil
}

// storedLen returns how many bytes of row are stored: all bytes of a row that is longer than its struct,
// otherwise the bytes before the zeros at its end.
func storedLen(row []byte, size int) int {
	n := len(row)
	if n > size {
		return n
	}
	for n >= 32 && isZero32(row[n-32:n]) {
		n -= 32
	}
	for n >= 8 && binary.LittleEndian.Uint64(row[n-8:n]) == 0 {
		n -= 8
	}
	for n > 0 && row[n-1] == 0 {
		n--
	}
	return n
}

func isZero32(p []byte) bool {
	_ = p[31]
	return binary.LittleEndian.Uint64(p)|binary.LittleEndian.Uint64(p[8:])|
		binary.LittleEndian.Uint64(p[16:])|binary.LittleEndian.Uint64(p[24:]) == 0
}

// fit returns how many of the rows with the stored lengths lens go into one frame, and how many
// bytes the lengths and the rows take there.
func fit(lens []int, size int) (n, encoded int) {
	restored := 0
	for _, stored := range lens {
		restored += max(stored, size)
		if restored > maxBatchData || n == maxBatchRows {
			break
		}
		encoded += uvarintLen(uint64(stored)) + stored
		n++
	}
	return n, encoded
}

// writeBatch writes b, whose rows are measured: as one frame, or as several if it is too large and
// its rows are single events.
func (w *Writer) writeBatch(source int, b *event.Batch) error {
	s := &w.sources[source]
	if b.Schema.Single && len(b.Rows) == 0 && len(b.Lost) == 0 {
		return nil
	}
	from, lost := 0, b.Lost
	for {
		n, encoded := fit(w.lens[from:], int(b.Schema.Size))
		if len(s.columns) > 0 {
			fits, err := w.translate(s, b, from, n)
			if err != nil {
				return fmt.Errorf("recording %q: %w", b.Schema.Name, err)
			}
			if fits < n {
				n, encoded = fit(w.lens[from:from+fits], int(b.Schema.Size))
			}
			w.appendDictionaries(source)
			w.encodeColumns(s, n)
		}
		w.appendBatch(source, b.Rows[from:from+n], w.lens[from:from+n], encoded, lost)
		s.total.add(n, lost)
		if len(w.buf) >= flushSize {
			if err := w.flush(); err != nil {
				return err
			}
		}
		from, lost = from+n, nil
		if from == len(b.Rows) {
			return nil
		}
	}
}

// appendBatch appends a batch's frame. w.columns holds its handles.
func (w *Writer) appendBatch(source int, rows [][]byte, lens []int, encoded int, lost []event.Loss) {
	size := uvarintLen(uint64(source)) + uvarintLen(uint64(len(lost))) + uvarintLen(uint64(len(rows))) + encoded + len(w.columns)
	for _, l := range lost {
		size += uvarintLen(uint64(l.CPU+1)) + 1 + uvarintLen(l.Count)
	}
	start := w.begin(frameBatch, size)
	buf := binary.AppendUvarint(w.buf, uint64(source))
	buf = binary.AppendUvarint(buf, uint64(len(lost)))
	for _, l := range lost {
		buf = binary.AppendUvarint(buf, uint64(l.CPU+1))
		buf = append(buf, byte(l.Cause))
		buf = binary.AppendUvarint(buf, l.Count)
	}
	buf = binary.AppendUvarint(buf, uint64(len(rows)))
	for _, n := range lens {
		buf = binary.AppendUvarint(buf, uint64(n))
	}
	for i, row := range rows {
		buf = append(buf, row[:lens[i]]...)
	}
	w.buf = append(buf, w.columns...)
	w.columns = w.columns[:0]
	w.finish(start)
}
