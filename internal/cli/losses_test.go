// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget"
)

// lines is a writer that may be read while it is written to.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// The first loss is told of at once. What comes soon after it is put together, by data source and cause, and
// told of later, though nothing follows.
func TestLossesAreToldOf(t *testing.T) {
	t.Parallel()
	var out lines
	w := newLossWarner(&out)
	w.interval = time.Second // which no machine takes for what is done here before it tells
	a, b := &event.Schema{Name: "a"}, &event.Schema{Name: "b"}
	full := func(cpu int, n uint64) []event.Loss {
		return []event.Loss{{CPU: cpu, Cause: event.BufferFull, Count: n}}
	}
	w.warn(a, full(0, 1))
	first := "gizmo: warning: a: 1 events lost (buffer full)\n"
	if got := out.String(); got != first {
		t.Errorf("at once: %q, want %q", got, first)
	}
	w.warn(a, full(0, 2))
	w.warn(a, full(1, 30))
	w.warn(b, full(0, 4))
	w.warn(a, []event.Loss{{CPU: event.NoCPU, Cause: event.OutputSlow, Count: 5}})
	want := first + "gizmo: warning: a: 32 events lost (buffer full)\n" +
		"gizmo: warning: b: 4 events lost (buffer full)\n" +
		"gizmo: warning: a: 5 events lost (output too slow)\n"
	for deadline := time.Now().Add(10 * time.Second); out.String() != want; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("later: %q, want %q", out.String(), want)
		}
	}
}

// At the end of the run the ledger says it all.
func TestLossesAreNotToldOfAfterTheEnd(t *testing.T) {
	t.Parallel()
	var out lines
	w := newLossWarner(&out)
	s, one := &event.Schema{Name: "a"}, []event.Loss{{Count: 1}}
	w.warn(s, one)
	w.warn(s, one)
	w.stop()
	time.Sleep(w.interval + 200*time.Millisecond)
	if n := strings.Count(out.String(), "\n"); n != 1 {
		t.Errorf("%d warnings, want 1:\n%s", n, out.String())
	}
}

func TestMissedRunsAreToldOf(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	printMissed(&out, []gadget.ProgramStats{{Name: "good", Runs: 9}, {Name: "bad", Missed: 7}})
	want := "gizmo: warning: program bad: the kernel did not run it 7 times, "
	if got := out.String(); !strings.HasPrefix(got, want) || strings.Count(got, "\n") != 1 {
		t.Errorf("got %q, want %q", got, want)
	}
}
