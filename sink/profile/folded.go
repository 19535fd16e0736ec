// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"strconv"
	"strings"
)

// kernelMark follows the names of kernel frames, as in the output of other profilers.
const kernelMark = "_[k]"

// appendFolded appends a line for each stack: the frames, the outermost first, with semicolons between them, and the value.
func appendFolded(dst []byte, p *Profile) []byte {
	return newGraph(column{p, p.Default}).appendFolded(dst)
}

// appendFoldedDiff appends a line for each stack with its values before and after.
func appendFoldedDiff(dst []byte, d *Diff) []byte { return d.graph.appendFolded(dst) }

func (g *graph) appendFolded(dst []byte) []byte {
	names := make([]string, len(g.frames))
	for i, f := range g.frames {
		names[i] = foldedName(f)
	}
	for _, p := range g.paths {
		for i, f := range p.frames {
			if i > 0 {
				dst = append(dst, ';')
			}
			dst = append(dst, names[f]...)
		}
		for _, v := range p.self {
			dst = append(dst, ' ')
			dst = strconv.AppendInt(dst, v, 10)
		}
		dst = append(dst, '\n')
	}
	return dst
}

// foldedName returns the name of a frame without what would end it.
func foldedName(f graphFrame) string {
	name := strings.ReplaceAll(f.name, ";", ":")
	if f.kind == kernelCode {
		name += kernelMark
	}
	return name
}
