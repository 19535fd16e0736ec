// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package encode_test

import (
	"fmt"
	"log"
	"os"

	"github.com/gizmo-ebpf/gizmo/encode"
	"github.com/gizmo-ebpf/gizmo/event"
)

// Write the events of a batch as JSON.
func Example() {
	schema := &event.Schema{
		Name: "exec", Single: true, Size: 12,
		Fields: []event.Field{
			{Name: "pid", Kind: event.Uint, Size: 4, Parent: event.NoParent},
			{Name: "comm", Kind: event.String, Off: 4, Size: 8, Parent: event.NoParent},
		},
	}
	format, err := encode.Lookup("json")
	if err != nil {
		log.Fatal(err)
	}
	encoder, err := format.Bind(schema, encode.Options{})
	if err != nil {
		log.Fatal(err)
	}

	batch := &event.Batch{Schema: schema, Rows: [][]byte{
		[]byte("\x01\x00\x00\x00init\x00\x00\x00\x00"),
		[]byte("\x39\x05\x00\x00\x1b[2J\x00\x00\x00\x00"),
	}}
	buf := encoder.Head(nil)
	buf = encoder.Append(buf, batch) // the buffer is for the caller to keep and to use again
	os.Stdout.Write(buf)
	// Output:
	// {"comm":"init","pid":1}
	// {"comm":"\u001b[2J","pid":1337}
}

// Let the user choose fields by name.
func ExampleSelect() {
	schema := &event.Schema{
		Name: "exec", Single: true, Size: 12,
		Fields: []event.Field{
			{Name: "proc", Kind: event.Struct, Size: 12, Parent: event.NoParent},
			{Name: "proc.pid", Kind: event.Uint, Size: 4, Parent: 0},
			{Name: "proc.comm", Kind: event.String, Off: 4, Size: 8, Parent: 0},
		},
	}
	format, err := encode.Lookup("columns")
	if err != nil {
		log.Fatal(err)
	}
	fields, err := encode.Select(schema, "-proc.pid", encode.DefaultFields(schema, format))
	fmt.Println(fields, err)
	_, err = encode.Select(schema, "proc.com", nil)
	fmt.Println(err)
	// Output:
	// [2] <nil>
	// data source "exec" has no field "proc.com"; did you mean "proc.comm"?
}
