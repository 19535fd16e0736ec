// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Genschema writes the JSON Schema of gadget.yaml to a file.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/gizmo-ebpf/gizmo/metadata"
)

func main() {
	out := flag.String("o", "gadget.schema.json", "file to write")
	flag.Parse()
	data, err := metadata.JSONSchema()
	if err == nil {
		err = os.WriteFile(*out, data, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
