// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import "testing"

// Runs of programs for packets count, which the kernel counts for the programs in front of them, and stay after these have gone.
func TestStatsOfTaps(t *testing.T) {
	inBothWays(t, func(t *testing.T, o LoadOptions) {
		counting, err := CountRuns()
		if err != nil {
			t.Fatal(err)
		}
		defer counting.Close()
		host, one := ownNetwork(t), otherNetwork(t)
		p := connectNetworks(t, host, one, 1)
		g := startTaps(t, o, tapPrograms...)
		leave := mustAttachInNetwork(t, g, one.path)
		p.exchange(t)
		before := runsOf(t, g)
		for name, n := range before {
			if n == 0 {
				t.Errorf("%s: the kernel counted no runs", name)
			}
		}
		leave()
		for name, n := range runsOf(t, g) {
			if n < before[name] {
				t.Errorf("%s: %d runs after it has left a namespace, and %d before", name, n, before[name])
			}
		}
	})
}

func runsOf(t *testing.T, g *running) map[string]uint64 {
	t.Helper()
	stats, err := g.Stats()
	if err != nil {
		t.Fatal(err)
	}
	runs := make(map[string]uint64)
	for _, s := range stats {
		runs[s.Name] = s.Runs
		if s.Runs > 0 && s.Time <= 0 {
			t.Errorf("%s ran %d times and took no time", s.Name, s.Runs)
		}
	}
	return runs
}
