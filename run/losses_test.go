// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/event"
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

func (l *lines) tell(x Loss) { fmt.Fprintf(l, "%s: %d events lost (%s)\n", x.Source, x.Count, x.Cause) }

// The first loss is reported at once. Losses soon after it are added up by data source and cause, and
// reported later, even if nothing follows.
func TestLossesAreToldOf(t *testing.T) {
	t.Parallel()
	var out lines
	w := newLossTeller(out.tell)
	w.interval = time.Second // longer than the steps before the report take on any machine
	a, b := &event.Schema{Name: "a"}, &event.Schema{Name: "b"}
	full := func(cpu int, n uint64) []event.Loss {
		return []event.Loss{{CPU: cpu, Cause: event.BufferFull, Count: n}}
	}
	w.note(a, full(0, 1))
	first := "a: 1 events lost (buffer full)\n"
	if got := out.String(); got != first {
		t.Errorf("at once: %q, want %q", got, first)
	}
	w.note(a, full(0, 2))
	w.note(a, full(1, 30))
	w.note(b, full(0, 4))
	w.note(a, []event.Loss{{CPU: event.NoCPU, Cause: event.OutputSlow, Count: 5}})
	want := first + "a: 32 events lost (buffer full)\n" +
		"b: 4 events lost (buffer full)\n" +
		"a: 5 events lost (output too slow)\n"
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
	w := newLossTeller(out.tell)
	s, one := &event.Schema{Name: "a"}, []event.Loss{{Count: 1}}
	w.note(s, one)
	w.note(s, one)
	w.stop()
	time.Sleep(w.interval + 200*time.Millisecond)
	if n := strings.Count(out.String(), "\n"); n != 1 {
		t.Errorf("%d warnings, want 1:\n%s", n, out.String())
	}
}
