// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package lines cuts output into lines.
package lines

import "bytes"

// Writer calls Line with each line that is written to it, its end included.
type Writer struct {
	Line func([]byte)
	// Rest is what has come of the next line.
	Rest []byte
}

// Write always takes all of p.
func (w *Writer) Write(p []byte) (int, error) {
	w.Rest = append(w.Rest, p...)
	for {
		i := bytes.IndexByte(w.Rest, '\n') + 1
		if i == 0 {
			return len(p), nil
		}
		w.Line(w.Rest[:i])
		w.Rest = w.Rest[i:]
	}
}
