// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cpus

import (
	"runtime"
	"slices"
	"testing"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]int{
		"0\n":       {0},
		"0-3\n":     {0, 1, 2, 3},
		"0-1,4,6-7": {0, 1, 4, 6, 7}, // with holes
	} {
		if got, err := Parse(text); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", ",", "a", "3-1", "-1", "1-", "0-99999999", "0,,1"} {
		if got, err := Parse(text); err == nil {
			t.Errorf("%q: %v, want an error", text, got)
		}
	}
}

func TestOnline(t *testing.T) {
	t.Parallel()
	got, err := Online()
	if err != nil {
		t.Fatal(err)
	}
	if len(got) < runtime.NumCPU() { // which may be fewer: those that we may run on
		t.Errorf("%v are online, Go sees %d", got, runtime.NumCPU())
	}
}

// All that are online are possible.
func TestPossible(t *testing.T) {
	t.Parallel()
	possible, err := Possible()
	if err != nil {
		t.Fatal(err)
	}
	online, err := Online()
	if err != nil {
		t.Fatal(err)
	}
	for _, cpu := range online {
		if !slices.Contains(possible, cpu) {
			t.Errorf("CPU %d is online, but only %v are possible", cpu, possible)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("0-2,4")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := Parse(text)
		if err == nil && (len(got) == 0 || len(got) > 2*maxCPU+2 || slices.Min(got) < 0 || slices.Max(got) > maxCPU) {
			t.Errorf("%q: %v", text, got)
		}
	})
}
