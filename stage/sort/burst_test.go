// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package sort

import (
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
)

// The memory of a burst is given back two windows later, and what the load since then needs is kept.
func TestMemoryOfABurstIsGivenBack(t *testing.T) {
	t.Parallel()
	schema := &event.Schema{Name: "ds", Single: true, Size: 1000, Fields: []event.Field{{Name: "time", Kind: event.Uint, Size: 8}}}
	ks, err := bindKeys(schema, []Key{{Field: "time"}})
	if err != nil {
		t.Fatal(err)
	}
	shared := &space{limit: DefaultMaxHeld}
	w := newWindow(schema, ks, shared)
	var in, out event.Batch
	arrive := func(rows int, slice int64) {
		in.Reset(schema)
		for range rows {
			in.Rows = append(in.Rows, make([]byte, 1000))
		}
		for row := range rows {
			if !w.add(&in, row, slice) {
				t.Fatal("there is room, but a row was not taken")
			}
		}
	}
	leave := func(slice int64) {
		for w.emit(&out, slice, false) {
		}
	}
	const burst = 5000
	arrive(burst, 0)
	for slice := int64(1); slice < 4*parts; slice++ {
		arrive(1, slice)
		leave(slice)
		if slice == parts+1 && shared.size < burst*1000/2 {
			t.Errorf("%d bytes are left directly after a burst: it may go on", shared.size)
		}
	}
	if shared.held == 0 || shared.size > 2*shared.held+spareBytes {
		t.Errorf("long after the burst rows hold %d bytes and runs have %d", shared.held, shared.size)
	}
}
