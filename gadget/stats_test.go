// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/internal/privileges"
)

func TestStatsCountRuns(t *testing.T) {
	counting, err := CountRuns()
	if err != nil {
		t.Fatal(err)
	}
	g := start(t, parse(t, "records"), LoadOptions{})
	g.make(100, 32)
	runs := func() uint64 {
		stats, err := g.Stats()
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range stats {
			if s.Runs > 0 {
				if s.Time <= 0 || s.Instructions <= 0 || s.Verified <= 0 || !s.Attached {
					t.Errorf("stats of a program that ran: %+v", s)
				}
				return s.Runs
			}
		}
		return 0
	}
	n := runs()
	if n < 1 {
		t.Error("the kernel counted no runs")
	}
	if err := counting.Close(); err != nil {
		t.Fatal(err)
	}
	g.make(100, 32)
	if again := runs(); again != n {
		t.Errorf("%d runs after counting had been switched off, want %d", again, n)
	}
}

// gizmo remembers what the kernel returns only to a process with CAP_BPF.
func TestStatsWithoutCapabilities(t *testing.T) {
	g := start(t, parse(t, "records"), LoadOptions{})
	before, err := g.Stats()
	if err != nil {
		t.Fatal(err)
	}
	var after []ProgramStats
	var reading error
	if err := privileges.Try(func() { after, reading = g.Stats() }); err != nil {
		t.Fatal(err)
	}
	if reading != nil {
		kerneltest.Missing(t, "the kernel lets none without CAP_BPF ask for anything: %v", reading)
	}
	for i, s := range after {
		if s.Instructions == 0 || s.Instructions != before[i].Instructions || s.Attached != before[i].Attached {
			t.Errorf("without capabilities %+v, before %+v", s, before[i])
		}
	}
}
