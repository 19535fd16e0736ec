// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package containertest

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestReferencePasses(t *testing.T) {
	Runtime(t, *newCase(t, ""))
}

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

// Each faulty client fails at the rule about its fault, for the right reason, and there is a faulty client for
// each rule.
func TestBadClientsFail(t *testing.T) {
	broken := make(map[string]bool)
	for _, bad := range []struct{ what, rule, says string }{
		{"no name", "it says who it is", "no name"},
		{"no rank", "it says who it is", "Rank"},
		{"another socket", "it says who it is", "Socket"},
		{"close fails", "it says who it is", "Close"},
		{"lists all", "List returns what runs", "has not been started"},
		{"lists twice", "List returns what runs", "twice"},
		{"lists no paused", "List returns what runs", "want"},
		{"forgets labels", "List returns what runs", "tier"},
		{"knows no labels", "List returns what runs", "an empty map"},
		{"forgets the image", "List returns what runs", "want"},
		{"takes the start from now", "List returns what runs", "started at"},
		{"knows only what runs", "Get knows what was created", "no such container"},
		{"keeps the process", "Get knows what was created", "after the end"},
		{"takes parts of ids", "Get knows what was created", "want ErrUnknown"},
		{"takes names", "Get knows what was created", "want ErrUnknown"},
		{"does not say unknown", "Get knows what was created", "want ErrUnknown"},
		{"shows escapes", "Get knows what was created", "an error of"},
		{"waits for the start", "Get does not wait for a start", "during the start"},
		{"cuts no labels", "names and labels are bounded", "a label with a key of"},
		{"escapes", "names and labels are bounded", "want"},
		{"leaves out any", "names and labels are bounded", "want"},
		{"cuts late", "names and labels are bounded", "in memory"},
		{"listens late", "no change is missed after ready", "has not come"},
		{"twice", "each start and end comes once", "2 starts"},
		{"no ends", "each start and end comes once", "has not come"},
		{"ready twice", "Watch returns when its context is done", "2 times"},
		{"no reason", "Watch returns when its context is done", "was canceled"},
		{"no error in the end", "the runtime may come back", "connection was lost"},
		{"does not end", "the context ends each call", "has not returned"},
		{"reads a line", "wrong answers are errors", "memory"},
		{"says all", "wrong answers are errors", "an error of"},
		{"no error", "wrong answers are errors", "want an error"},
		{"does not name the socket", "wrong answers are errors", "name the socket"},
		{"unknown for all", "wrong answers are errors", "want an error"},
		{"gives up", "the runtime may come back", "no connection"},
		{"one at a time", "several goroutines may ask", "busy"},
		{"leaves goroutines", "nothing is left behind", "goroutines"},
		{"leaves files", "nothing is left behind", "open files"},
	} {
		broken[bad.rule] = true
		t.Run(bad.what, func(t *testing.T) {
			switch bad.rule {
			case "nothing is left behind", "names and labels are bounded", "wrong answers are errors": // they count
			default:
				t.Parallel()
			}
			c := newCase(t, bad.what)
			if bad.what != "reads a line" { // which has much to read
				c.patience = time.Second / 2
			}
			for _, r := range rules() {
				if r.name != bad.rule {
					continue
				}
				if got := record(t, func(t testing.TB) { r.check(t, c) }); got == "" || !strings.Contains(got, bad.says) {
					t.Errorf("rule %q: got %.300q, want a failure with %q", r.name, got, bad.says)
				}
				return
			}
			if !raceDetector {
				t.Errorf("there is no rule %q", bad.rule)
			}
		})
	}
	for _, r := range rules() {
		if !broken[r.name] {
			t.Errorf("no bad client breaks the rule %q", r.name)
		}
	}
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
