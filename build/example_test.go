// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package build_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/gizmo-ebpf/gizmo/build"
)

// A tool that builds a gadget shows the compiler's messages as they are.
func ExampleDir() {
	result, err := build.Dir(context.Background(), "gadgets/trace_open", nil)
	var rejected *build.CompileError
	if errors.As(err, &rejected) {
		fmt.Fprint(os.Stderr, rejected.Output)
	}
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s: %d bytes\n", result.Source, len(result.Object))
}
