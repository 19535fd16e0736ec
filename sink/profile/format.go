// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package profile

// Format is one row of the table: a way to write a profile.
type Format struct {
	Name string
	// Append appends the profile to dst and returns it, as append does.
	Append func(dst []byte, p *Profile) []byte
	// AppendDiff does so for what has changed between two profiles; nil: the format cannot show that.
	AppendDiff func(dst []byte, d *Diff) []byte
}

// Formats returns the table of formats.
func Formats() []Format {
	return []Format{
		{Name: "pprof", Append: appendPprof},
		{Name: "folded", Append: appendFolded, AppendDiff: appendFoldedDiff},
		{Name: "flamegraph", Append: appendFlameGraph, AppendDiff: appendFlameGraphDiff},
	}
}

// Lookup returns the format with that name.
func Lookup(name string) (Format, bool) {
	for _, f := range Formats() {
		if f.Name == name {
			return f, true
		}
	}
	return Format{}, false
}
