// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/gizmo-ebpf/gizmo/build"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
)

// Parse reads what an object contains without a kernel and without privileges.
func ExampleParse() {
	built, err := build.Dir(context.Background(), "../testdata/packets", nil)
	if errors.Is(err, build.ErrNoClang) {
		fmt.Println("there is no compiler")
		return
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	img, err := image.Parse(bytes.NewReader(built.Object), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, d := range img.DataSources {
		fmt.Printf("data source %s (%s)\n", d.Schema.Name, d.Kind)
		for _, f := range d.Schema.Fields {
			fmt.Printf("  field %s: %s of %d bytes\n", f.Name, f.Kind, f.Size)
		}
	}
	for i := range img.Params {
		fmt.Printf("param %s: %s, default %s\n", img.Params[i].Key, img.Params[i].Type(), img.Params[i].Default)
	}
	for _, p := range img.Programs {
		fmt.Printf("program %s in section %s\n", p.Name, p.Section)
	}
	// Output:
	// data source packets (tracer)
	//   field size: uint of 4 bytes
	//   field padding: uint of 4 bytes
	// param port: uint16, default 0
	// program on_packet in section xdp
}
