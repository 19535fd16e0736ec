// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package event

// Batch is a number of records of one data source, and what was lost around them. It is owned by
// the source that filled it and reused: nothing in it may be kept after the call it came with.
type Batch struct {
	// Schema describes the rows. A batch of a data source of arrays (Single is false) is one array.
	Schema *Schema
	// Rows are the records that are still in, each at least Schema.Size bytes long: a source pads a
	// shorter record with zeros. What goes beyond that size is trailing data. Nobody writes to them:
	// they may lie in memory that is shared with the kernel.
	Rows [][]byte
	// Cols are the columns that stages filled, each as long as Rows; empty if its stage has nothing to
	// say about these rows.
	Cols [][]Handle
	// Lost is what was lost since the batch before.
	Lost []Loss
	// More says that the source has more rows at hand: it won't wait before its next batch.
	More bool
}

// Handle is what a stage found out about a row: an index into a table of the stage's. 0 stands for
// nothing.
type Handle uint32

// Reset empties the batch for reuse with the schema s.
func (b *Batch) Reset(s *Schema) {
	b.Schema = s
	clear(b.Rows)
	b.Rows = b.Rows[:0]
	for i := range b.Cols {
		b.Cols[i] = b.Cols[i][:0]
	}
	b.Lost = b.Lost[:0]
	b.More = false
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
		for _, col := range b.Cols {
			if len(col) > 0 {
				col[n] = col[i]
			}
		}
		n++
	}
	gone := len(b.Rows) - n
	clear(b.Rows[n:])
	b.Rows = b.Rows[:n]
	for c := range b.Cols {
		b.Cols[c] = b.Cols[c][:min(n, len(b.Cols[c]))]
	}
	return gone
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
	// Recording: the recording that is being replayed was cut short or damaged.
	Damaged
	// OutputSlow: the output took less than came.
	OutputSlow
)

var causeNames = [...]string{"buffer full", "malformed record", "output failed", "damaged recording", "output too slow"}

// String returns the cause in the words shown to users.
func (c Cause) String() string {
	if int(c) < len(causeNames) {
		return causeNames[c]
	}
	return "unknown cause"
}

// NoCPU is the CPU of a loss that has none.
const NoCPU = -1

// Loss counts events that were produced and never came, since the last report of the same kind.
type Loss struct {
	CPU   int    `json:"cpu"` // NoCPU where it does not apply
	Cause Cause  `json:"cause"`
	Count uint64 `json:"count"`
}
