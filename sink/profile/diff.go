// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package profile

import "fmt"

// Diff is two profiles of the same kind, to be compared.
type Diff struct {
	Name  string
	Type  ValueType
	graph *graph // with the values before and after
}

// NewDiff returns what has changed from one profile to another. It compares the values that both show by default.
func NewDiff(before, after *Profile) (*Diff, error) {
	x, y := before.Types[before.Default], after.Types[after.Default]
	if x != y {
		return nil, fmt.Errorf("the profiles cannot be compared: one has %s in %s, the other %s in %s", x.Type, x.Unit, y.Type, y.Unit)
	}
	return &Diff{Name: after.Name, Type: y, graph: newGraph(column{before, before.Default}, column{after, after.Default})}, nil
}
