// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/wire"
)

func Example() {
	schema := &event.Schema{Name: "open", Single: true, Size: 4, Fields: []event.Field{
		{Name: "pid", Kind: event.Uint, Size: 4, Parent: event.NoParent},
	}}
	var file bytes.Buffer
	w, err := wire.NewWriter(&file, wire.Header{
		Gadgets:     []wire.Gadget{{Reference: "trace_open"}},
		DataSources: []wire.DataSource{{Schema: schema}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	batch := event.Batch{
		Schema: schema,
		Rows:   [][]byte{{0x2a, 0, 0, 0}, {0x39, 5, 0, 0}},
		Lost:   []event.Loss{{CPU: 1, Cause: event.BufferFull, Count: 7}},
	}
	if err := errors.Join(w.Write(&batch), w.Close()); err != nil {
		fmt.Println(err)
		return
	}

	r, err := wire.NewReader(&file)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("recorded by", r.Header().Gadgets[0].Reference)
	for {
		err := r.Next(context.Background(), &batch)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, row := range batch.Rows {
			fmt.Println("pid", batch.Schema.Fields[0].Uint(row))
		}
		for _, loss := range batch.Lost {
			fmt.Printf("%d lost on CPU %d: %s\n", loss.Count, loss.CPU, loss.Cause)
		}
	}
	// Output:
	// recorded by trace_open
	// pid 42
	// pid 1337
	// 7 lost on CPU 1: buffer full
}
