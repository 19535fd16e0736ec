// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package kerneltest

import (
	"runtime"
	"slices"
	"testing"
	"time"
)

// outer is the test for which attempts are made. It keeps that it has failed to itself.
type outer struct {
	testing.TB
	failed bool
}

func (o *outer) FailNow() {
	o.failed = true
	runtime.Goexit()
}

func TestAttempts(t *testing.T) {
	fails := func(a *Attempt) { a.Error("an event is missing") }
	ends := func(a *Attempt) { a.Fatalf("%d events are missing", 2) }
	skipped := func(a *Attempt) { a.Disturbed(); a.Fatal("skipped") }
	slow := func(a *Attempt) { a.Within(2*time.Second, time.Second) }
	passes := func(a *Attempt) { a.Within(time.Second, time.Second) }
	for name, c := range map[string]struct {
		runs   []func(*Attempt)
		hides  bool
		failed bool
	}{
		"passes":                         {runs: []func(*Attempt){passes}},
		"passes where events are hidden": {runs: []func(*Attempt){passes}, hides: true},
		"fails where none are hidden":    {runs: []func(*Attempt){fails}, failed: true},
		"fails once":                     {runs: []func(*Attempt){fails, passes}, hides: true},
		"fails twice":                    {runs: []func(*Attempt){ends, fails, passes}, hides: true},
		"fails always":                   {runs: []func(*Attempt){ends, fails, ends}, hides: true, failed: true},
		"was disturbed":                  {runs: []func(*Attempt){skipped, passes}},
		"is slow twice":                  {runs: []func(*Attempt){slow, slow, passes}},
		"is slow always":                 {runs: []func(*Attempt){slow, slow, slow}, failed: true},
		"was disturbed, then fails":      {runs: []func(*Attempt){skipped, fails}, failed: true},
	} {
		t.Run(name, func(t *testing.T) {
			o, n := &outer{TB: t}, 0
			toItsEnd(func() {
				undisturbed(o, func() bool { return c.hides }, func(a *Attempt) {
					n++
					c.runs[n-1](a)
				})
			})
			if n != len(c.runs) || o.failed != c.failed {
				t.Errorf("%d runs, failed: %v", n, o.failed)
			}
		})
	}
}

// Each attempt cleans up before the next begins, also one that ends early.
func TestAttemptsCleanUp(t *testing.T) {
	var did []string
	note := func(what string) func() { return func() { did = append(did, what) } }
	undisturbed(t, func() bool { return true }, func(a *Attempt) {
		first := len(did) == 0
		a.Cleanup(note("network"))
		a.Cleanup(func() {
			if a.Context().Err() == nil {
				t.Error("the context of the attempt has not ended")
			}
			runtime.Goexit()
		})
		a.Cleanup(note("process"))
		note("run")()
		if first {
			a.FailNow()
		}
	})
	if want := []string{"run", "process", "network", "run", "process", "network"}; !slices.Equal(did, want) {
		t.Errorf("got %q, want %q", did, want)
	}
}
