// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
)

// A gadget for packets follows interfaces that come and go. It takes root.
func Example() {
	object, err := os.Open("packets.o")
	if err != nil {
		log.Fatal(err)
	}
	defer object.Close()
	img, err := image.Parse(object, nil)
	if err != nil {
		log.Fatal(err)
	}
	port, _ := img.Param("port")
	value, err := port.Parse("53")
	if err != nil {
		log.Fatal(err)
	}
	g, err := gadget.Load(img, &gadget.LoadOptions{
		Params:       map[string]image.Value{port.Var: value},
		ManualAttach: []string{"on_packet"},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer g.Close()
	if err := errors.Join(g.Attach(), g.AttachTo("on_packet", "lo"), g.AttachTo("on_packet", "eth0")); err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	context.AfterFunc(ctx, func() { _ = g.Detach() })
	source := g.Sources()[0]
	var batch event.Batch
	for {
		err := source.Next(ctx, &batch)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			log.Fatal(err)
		}
		size, _ := batch.Schema.Lookup("size")
		for _, row := range batch.Rows {
			fmt.Println(batch.Schema.Fields[size].Uint(row))
		}
	}
}
