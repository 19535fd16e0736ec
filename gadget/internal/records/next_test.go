// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package records_test

import (
	"encoding/binary"
	"testing"

	"github.com/gizmo-ebpf/gizmo/gadget/internal/records"
)

func TestNext(t *testing.T) {
	t.Parallel()
	const size, n = 12, 100_000 // several chunks
	s := records.New(size)
	for round := range 2 {
		s.Reset()
		for i := range n {
			record := s.Next()
			if len(record) != size || cap(record) != size {
				t.Fatalf("%d bytes and room for %d", len(record), cap(record))
			}
			binary.LittleEndian.PutUint32(record, uint32(i+round))
		}
		rows := s.AppendRows(nil)
		if len(rows) != n || s.Len() != n {
			t.Fatalf("%d rows, length %d", len(rows), s.Len())
		}
		for i, row := range rows {
			if binary.LittleEndian.Uint32(row) != uint32(i+round) {
				t.Fatalf("row %d: %x", i, row)
			}
		}
	}
}
