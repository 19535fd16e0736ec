// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"slices"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
)

func TestLossCounterReportsDifferences(t *testing.T) {
	t.Parallel()
	var c lossCounter // of an object that counts nothing
	got, err := c.poll([]event.Loss{{CPU: 3}}, true)
	if err != nil || !slices.Equal(got, []event.Loss{{CPU: 3}}) {
		t.Errorf("got %v, %v", got, err)
	}
}

// The kernel has a value for each possible CPU, including those that are offline.
func TestLossesOnSomeCPUs(t *testing.T) {
	t.Parallel()
	c := lossCounter{now: []uint64{3, 0, 5, 0}}
	want := []event.Loss{{CPU: 0, Count: 3}, {CPU: 2, Count: 5}}
	if got := c.grown(nil); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	c.now = []uint64{3, 0, 6, 1} // the last has come online
	want = []event.Loss{{CPU: 2, Count: 1}, {CPU: 3, Count: 1}}
	if got := c.grown(nil); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := c.grown(nil); len(got) > 0 {
		t.Errorf("got %v, want nothing new", got)
	}
}
