// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pipelinetest

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// recorder is a testing.TB that takes note of failures.
type recorder struct {
	testing.TB
	mu       sync.Mutex
	failures []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

// record returns how check failed; "" if it did not.
func record(t testing.TB, check func(t testing.TB)) string {
	t.Helper()
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		check(r)
	}()
	<-done
	return strings.Join(r.failures, "\n")
}

// bad is an implementation that breaks a rule.
type bad[C any] struct {
	name string
	rule string
	says string // a part of the message
	c    C
}

// expectFailures checks that each implementation fails at its rule for the expected reason, and that there is
// one for each rule. Those in noRace run only without the race detector, which would report them before the
// suite does, or which allocates itself.
func expectFailures[C any](t *testing.T, rules []rule[C], all []bad[C], noRace ...string) {
	t.Helper()
	broken := make(map[string]bool)
	for _, b := range all {
		if raceDetector && slices.Contains(noRace, b.name) {
			broken[b.rule] = true
			continue
		}
		t.Run(b.name, func(t *testing.T) {
			for _, r := range rules {
				if r.name != b.rule {
					continue
				}
				broken[r.name] = true
				synctest.Test(t, func(t *testing.T) { // on a clock of its own, so that nothing depends on the machine's load
					if got := record(t, func(t testing.TB) { r.check(t, b.c) }); !strings.Contains(got, b.says) || got == "" {
						t.Errorf("rule %q: got %q, want a failure with %q", r.name, got, b.says)
					}
					time.Sleep(time.Minute) // goroutines that were left behind end
				})
				return
			}
			t.Errorf("there is no rule %q", b.rule)
		})
	}
	for _, r := range rules {
		if !broken[r.name] {
			t.Errorf("no bad implementation breaks the rule %q", r.name)
		}
	}
}
