// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"strings"
	"testing"
)

func TestDefaultBufferSize(t *testing.T) {
	t.Parallel()
	const mib, gib = 1 << 20, 1 << 30
	for _, c := range []struct {
		cpus   int
		memory uint64
		want   int
	}{
		{1, 16 * gib, 8 * mib},
		{2, 24 * gib, 16 * mib},
		{3, 24 * gib, 16 * mib}, // rounded down
		{64, 512 * gib, 256 * mib},
		{1000, 512 * gib, 256 * mib},
		{64, 1 * gib, 16 * mib}, // a small share of the memory
		{2, 128 * mib, 2 * mib}, // a control group's limit
		{2, 1 * mib, 1 * mib},
	} {
		if got := defaultBufferSize(c.cpus, c.memory); got != c.want {
			t.Errorf("%d CPUs, %d bytes: %d, want %d", c.cpus, c.memory, got, c.want)
		}
	}
	if got := DefaultBufferSize(); got < minBuffer || got > maxBuffer {
		t.Errorf("on this machine: %d", got)
	}
}

func TestBufferSizesThatMakeNoSense(t *testing.T) {
	t.Parallel()
	for size, want := range map[int]string{
		-1:                "at most",
		MaxBufferSize + 1: "at most",
		300 << 20:         "more than half of the",
	} {
		if err := checkBufferSize(size, 512<<20); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%d: got %v, want %q", size, err, want)
		}
	}
	if err := checkBufferSize(256<<20, 512<<20); err != nil {
		t.Error(err)
	}
}
