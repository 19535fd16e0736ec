// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package names

import (
	"strings"

	"github.com/ianlancetaylor/demangle"
)

const (
	// maxMangled bounds what Demangle works on. Names of templates reach some thousand bytes.
	maxMangled = 4 << 10
	// maxDemangled is the power of two that bounds its results. Without a bound a mangled name of 240 bytes, whose parts refer to each
	// other, takes 39 s and 285 MB.
	maxDemangled = 12
)

// Demangle returns a name of C++ or Rust as people write it, without the types of a function's parameters. It returns other names, and names
// that are too long or wrong, as they are. The version of a symbol ("memcpy@@GLIBC_2.14") is no part of the name, and neither is what Go's linker
// appends to functions in assembly language ("runtime.goexit.abi0"): Go's own table of functions does not have it.
func Demangle(name string) string {
	if len(name) > maxMangled {
		return name
	}
	if before, version, ok := strings.Cut(name, "@"); ok && before != "" && version != "plt" {
		name = before
	}
	name = strings.TrimSuffix(name, ".abi0")
	if !strings.HasPrefix(name, "_Z") && !strings.HasPrefix(name, "_R") && !strings.HasPrefix(name, "_GLOBAL_") {
		return name
	}
	text, err := demangle.ToString(name, demangle.NoParams, demangle.MaxLength(maxDemangled))
	if err != nil || text == "" {
		return name
	}
	return text
}
