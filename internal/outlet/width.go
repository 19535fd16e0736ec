// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package outlet

import (
	"io"
	"os"

	"golang.org/x/term"
)

// Width returns the number of cells in a line of w; 0 if it is no terminal.
func Width(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}
