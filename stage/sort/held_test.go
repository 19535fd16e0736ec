// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package sort

import "testing"

// The memory for held events depends on the memory that this process may use.
func TestMaxHeld(t *testing.T) {
	t.Parallel()
	for available, want := range map[uint64]int{1 << 62: 64 << 20, 1 << 30: 64 << 20, 512 << 20: 32 << 20, 64 << 20: 4 << 20, 1 << 20: 1 << 20} {
		if got := new(Options).maxHeld(available); got != want {
			t.Errorf("of %d bytes: %d, want %d", available, got, want)
		}
	}
	if got := (&Options{MaxHeld: 100}).maxHeld(1 << 30); got != 100 {
		t.Errorf("the caller's choice: %d", got)
	}
}
