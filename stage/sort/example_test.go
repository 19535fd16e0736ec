// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package sort_test

import (
	"fmt"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/stage/sort"
)

func ExampleNewArrays() {
	schema := &event.Schema{Name: "processes", Size: 2, Fields: []event.Field{
		{Name: "cpu", Kind: event.Uint, Off: 0, Size: 1, Parent: event.NoParent},
		{Name: "pid", Kind: event.Uint, Off: 1, Size: 1, Parent: event.NoParent},
	}}
	keys, err := sort.Parse("-cpu,pid")
	if err != nil {
		panic(err)
	}
	stage, err := sort.NewArrays(sort.Options{Keys: map[event.SourceID][]sort.Key{{Name: "processes"}: keys}, MaxEntries: 3})
	if err != nil {
		panic(err)
	}
	f, err := stage.Bind(schema, event.FieldSet{})
	if err != nil {
		panic(err)
	}
	batch := event.Batch{Schema: schema, Rows: [][]byte{{5, 12}, {90, 13}, {5, 11}, {1, 10}}}
	if err := f(&batch); err != nil {
		panic(err)
	}
	for _, row := range batch.Rows {
		fmt.Println(schema.Fields[0].Uint(row), schema.Fields[1].Uint(row))
	}
	// Output:
	// 90 13
	// 5 11
	// 5 12
}
