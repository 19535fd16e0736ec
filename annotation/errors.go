// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package annotation

import (
	"fmt"

	"github.com/gizmo-ebpf/gizmo/internal/nearest"
)

// UnknownError says that something was named that does not exist.
type UnknownError struct {
	// What is the kind of name: "annotation", "template", "field".
	What string
	// Name is the unknown name.
	Name string
	// Known are the names that exist.
	Known []string
}

// Error names the thing and the existing name that is most like it.
func (e *UnknownError) Error() string {
	return fmt.Sprintf("unknown %s %s%s", e.What, Quote(e.Name), nearest.Hint(e.Name, e.Known))
}
