// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package profile

import "io"

// Format is one row of the table: a way to write a profile. It is written in pieces, because stacks with long names are much longer as text than
// in memory.
type Format struct {
	Name string
	// Write writes the profile.
	Write func(w io.Writer, p *Profile) error
	// WriteDiff writes what has changed between two profiles; nil: the format cannot show that.
	WriteDiff func(w io.Writer, d *Diff) error
}

// Formats returns the table of formats.
func Formats() []Format {
	return []Format{
		{Name: "pprof", Write: writePprof},
		{Name: "folded", Write: writeFolded, WriteDiff: writeFoldedDiff},
		{Name: "flamegraph", Write: writeFlameGraph, WriteDiff: writeFlameGraphDiff},
	}
}

// pieceSize is how many bytes are written at once.
const pieceSize = 64 << 10

// Lookup returns the format with that name.
func Lookup(name string) (Format, bool) {
	for _, f := range Formats() {
		if f.Name == name {
			return f, true
		}
	}
	return Format{}, false
}
