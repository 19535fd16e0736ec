// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/internal/plain"
)

// These flags are needed to build a gadget, so they are read before its flags are parsed, which depend on the gadget.
const (
	flagClang   = "clang"
	clangUsage  = "compiler for a gadget in a directory: a path, or a name in PATH; default: $CLANG, or else the newest clang in PATH"
	flagStrict  = "strict"
	strictUsage = "turn warnings into errors: unknown names in gadget.yaml, functions to probe that do not exist"
)

// warnUnless returns the function that warns about unknown names in a gadget.yaml, one line for each and each
// once. In a strict run it returns nil, and unknown names are errors.
func (a *app) warnUnless(strict bool) func(error) {
	if strict {
		return nil
	}
	told := make(map[string]bool)
	return func(err error) {
		prefix := "gizmo: warning: "
		if unknown := (*annotation.UnknownError)(nil); errors.As(err, &unknown) {
			prefix += "ignored: "
		}
		for line := range strings.Lines(plain.Message(err)) {
			line = prefix + strings.TrimSuffix(line, "\n")
			if !told[line] {
				told[line] = true
				fmt.Fprintln(a.Err, line)
			}
		}
	}
}
