// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package event

// Batch holds records of one data source, and the losses around them. The source that filled it owns
// it and reuses it: a stage or sink must not keep anything of it after the call that it is passed to.
type Batch struct {
	// Schema describes the rows. A batch of a data source of arrays (Single is false) is one array.
	Schema *Schema
	// Rows are the records that no stage has removed, each at least Schema.Size bytes long: a source pads a
	// shorter record with zeros. Bytes beyond that size are trailing data. Stages and sinks must not write to rows:
	// they may be in memory that is shared with the kernel.
	Rows [][]byte
	// Lost holds the losses since the batch before.
	Lost []Loss
	// More says that the source has more rows at hand: the next batch comes without waiting.
	More bool
	// Continues says that this is not the end of the array: the source hands out a large array in parts, and the next batch
	// of the schema is the next part. It is never set for single events.
	Continues bool
	// Flush says that the source forgets the values of all earlier handles in the next call of Next. A stage that holds rows of earlier
	// batches of the source must pass them on before.
	Flush bool

	// columns are the columns that stages filled, each as long as Rows; a column is empty if its stage has
	// found nothing about these rows. Column gives access to them.
	columns [][]Handle
	// handles is scratch memory of PermuteColumns.
	handles []Handle
}

// Reset empties the batch for reuse with the schema s.
func (b *Batch) Reset(s *Schema) {
	b.Schema = s
	clear(b.Rows)
	b.Rows = b.Rows[:0]
	for i := range b.columns {
		b.columns[i] = b.columns[i][:0]
	}
	b.Lost = b.Lost[:0]
	b.More, b.Continues, b.Flush = false, false, false
}

// Part makes b a part of other: its rows from one index up to another. Both share rows and columns, so b must only be read, and
// only as long as other is valid.
func (b *Batch) Part(other *Batch, from, to int) {
	b.Schema, b.Rows, b.Lost = other.Schema, other.Rows[from:to:to], nil
	b.More = other.More || to < len(other.Rows)
	b.Continues = !other.Schema.Single && (other.Continues || to < len(other.Rows))
	b.columns = b.columns[:0]
	for _, col := range other.columns {
		if len(col) > 0 {
			col = col[from:to:to]
		}
		b.columns = append(b.columns, col)
	}
}

// Copy makes b a copy of other. Both share the bytes of the rows, which stay valid as long as those of
// other.
func (b *Batch) Copy(other *Batch) {
	b.Reset(other.Schema)
	b.Rows = append(b.Rows, other.Rows...)
	b.growColumns(len(other.columns))
	for i, col := range other.columns {
		b.columns[i] = append(b.columns[i], col...)
	}
	b.Lost = append(b.Lost, other.Lost...)
	b.More, b.Continues, b.Flush = other.More, other.Continues, other.Flush
}

func (b *Batch) growColumns(n int) {
	for len(b.columns) < n {
		b.columns = append(b.columns, nil)
	}
}

// Keep removes the rows for which keep returns false, together with their places in the columns,
// and returns how many it removed. The order of the others stays.
func (b *Batch) Keep(keep func(row int) bool) int {
	n := 0
	for i := range b.Rows {
		if !keep(i) {
			continue
		}
		b.Rows[n] = b.Rows[i]
		for _, col := range b.columns {
			if len(col) > 0 {
				col[n] = col[i]
			}
		}
		n++
	}
	gone := len(b.Rows) - n
	b.Truncate(n)
	return gone
}

// Truncate removes all rows but the first n.
func (b *Batch) Truncate(n int) {
	clear(b.Rows[n:])
	b.Rows = b.Rows[:n]
	for i, col := range b.columns {
		b.columns[i] = col[:min(n, len(col))]
	}
}

// PermuteColumns puts the columns into the order of rows: the handle that was at index rows[i] moves to
// index i. The caller does the same with Rows.
func (b *Batch) PermuteColumns(rows []uint32) {
	for _, col := range b.columns {
		if len(col) != len(rows) {
			continue
		}
		b.handles = b.handles[:0]
		for _, row := range rows {
			b.handles = append(b.handles, col[row])
		}
		copy(col, b.handles)
	}
}

// Cause is why an event was lost.
type Cause uint8

// The causes.
const (
	// BufferFull: the kernel found no room in the buffer that it shares with gizmo.
	BufferFull Cause = iota
	// Malformed: a record that did not fit its schema.
	Malformed
	// OutputFailed: the output took no more.
	OutputFailed
	// Damaged: the recording that is being replayed was cut short or damaged.
	Damaged
	// OutputSlow: the output was slower than the events.
	OutputSlow
	// ProfileFull: a profile had no room for another stack.
	ProfileFull
)

var causeNames = [...]string{"buffer full", "malformed record", "output failed", "damaged recording", "output too slow", "profile full"}

// String returns the cause in the words shown to users.
func (c Cause) String() string {
	if int(c) < len(causeNames) {
		return causeNames[c]
	}
	return "unknown cause"
}

// NoCPU is the CPU of a loss that has none.
const NoCPU = -1

// Loss counts events that were produced and did not arrive, since the last report of the same kind.
type Loss struct {
	CPU   int    `json:"cpu"` // NoCPU where it does not apply
	Cause Cause  `json:"cause"`
	Count uint64 `json:"count"`
}
