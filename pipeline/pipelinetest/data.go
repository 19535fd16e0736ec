// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pipelinetest

import (
	"encoding/binary"
	"fmt"

	"github.com/gizmo-ebpf/gizmo/event"
)

// NewSchema returns the schema of the records that the suites make: "serial", a number of 64 bits, and "text", a
// char[24] that is derived from it. The suites fill two columns: the field "mark" has a value in all
// events, "rare" in some.
func NewSchema(name string, single bool) *event.Schema {
	s := &event.Schema{Name: name, Single: single, Size: recordSize, Fields: []event.Field{
		{Name: "serial", Kind: event.Uint, Size: 8, Parent: event.NoParent},
		{Name: "text", Kind: event.String, Off: 8, Size: 24, Parent: event.NoParent},
	}}
	s.AddColumn(event.Field{Name: "mark", Kind: event.String, Parent: event.NoParent, Table: newMarks("mark")})
	s.AddColumn(event.Field{Name: "rare", Kind: event.String, Parent: event.NoParent, Table: newMarks("rare")})
	return s
}

const (
	recordSize = 32
	// markCount is the number of different values of a mark, whose handles count from 1.
	markCount = 16
)

func newMarks(name string) *event.Texts {
	texts := new(event.Texts)
	for i := range markCount {
		texts.Handle(fmt.Sprintf("%s %d", name, i))
	}
	return texts
}

// Text is the value of "text" in the record with that serial.
func Text(serial uint64) string { return fmt.Sprintf("event %d", serial) }

// Mark is the value of "mark" in the record with that serial.
func Mark(serial uint64) string { return fmt.Sprintf("mark %d", serial%markCount) }

// Record returns the record with that serial. Some records have trailing data.
func Record(serial uint64) []byte {
	record := binary.LittleEndian.AppendUint64(nil, serial)
	record = append(record, Text(serial)...)
	record = append(record, make([]byte, recordSize-len(record))...)
	for range serial % 3 {
		record = append(record, byte(serial))
	}
	return record
}

// serialOf is the serial of a record.
func serialOf(record []byte) uint64 { return binary.LittleEndian.Uint64(record) }

// handlesOf are the handles of an event in the two columns.
func handlesOf(serial uint64) (mark, rare event.Handle) {
	mark = event.Handle(serial%markCount) + 1
	if serial%5 == 0 {
		rare = event.Handle(serial%7) + 1
	}
	return mark, rare
}

// newBatch makes a batch of the next n events. The second column stays empty in every other batch.
func newBatch(s *event.Schema, serial *uint64, n int) Batch {
	b := Batch{Schema: s, Handles: make([][]event.Handle, 2)}
	rare := make([]event.Handle, 0, n)
	some := false
	for range n {
		first, second := handlesOf(*serial)
		b.Rows = append(b.Rows, Record(*serial))
		b.Handles[0] = append(b.Handles[0], first)
		rare = append(rare, second)
		some = some || second != 0
		*serial++
	}
	if some {
		b.Handles[1] = rare
	}
	return b
}
