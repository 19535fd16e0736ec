// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math"
	"strings"
	"testing"
)

// TestPrintTable: medians with their range, what is missing, and the median of the ratios of single rounds.
func TestPrintTable(t *testing.T) {
	same := func(v *float64) float64 { return *v }
	cols := []column[float64]{
		{"plain", same, number, false},
		{"ratio", same, two, true},
		{"missing", func(*float64) float64 { return math.NaN() }, number, false},
	}
	rows := []row[float64]{{"first", []float64{10, 20, 40}}, {"second", []float64{30, 20, 40}}}
	var out strings.Builder
	printTable(&out, cols, rows)
	want := `| | plain | ratio | missing |
|---|--:|--:|--:|
| first | 20 (10 – 40) | 20.00 (10.00 – 40.00) | – |
| second | 30 (20 – 40) | 30.00 (20.00 – 40.00) **×1.0** | – |
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}
