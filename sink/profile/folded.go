// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"bufio"
	"io"
	"strconv"
	"strings"
)

// kernelMark follows the names of kernel frames, as in the output of other profilers.
const kernelMark = "_[k]"

// writeFolded writes a line for each stack: the frames, the outermost first, with semicolons between them, and the value.
func writeFolded(w io.Writer, p *Profile) error { return newGraph(column{p, p.Default}).writeFolded(w) }

// writeFoldedDiff writes a line for each stack with its values before and after.
func writeFoldedDiff(w io.Writer, d *Diff) error { return d.graph.writeFolded(w) }

func (g *graph) writeFolded(w io.Writer) error {
	names := make([]string, len(g.frames))
	for i, f := range g.frames {
		names[i] = foldedName(f)
	}
	out := bufio.NewWriterSize(w, pieceSize) // which remembers the first error
	for _, p := range g.paths {
		for i := range p.len() {
			if i > 0 {
				_ = out.WriteByte(';')
			}
			_, _ = out.WriteString(names[p.frame(i)])
		}
		for _, v := range p.self {
			_ = out.WriteByte(' ')
			_, _ = out.Write(strconv.AppendInt(out.AvailableBuffer(), v, 10))
		}
		_ = out.WriteByte('\n')
	}
	return out.Flush()
}

// foldedName returns the name of a frame without what would end it.
func foldedName(f graphFrame) string {
	name := strings.ReplaceAll(f.name, ";", ":")
	if f.kind == kernelCode {
		name += kernelMark
	}
	return name
}
