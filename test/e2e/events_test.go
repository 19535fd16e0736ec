// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// jsonEvent is an event as the json format writes it, or a part of one.
type jsonEvent map[string]any

// parseEvents reads one event a line. Numbers stay as they are written.
func parseEvents(t testing.TB, text string) []jsonEvent {
	t.Helper()
	var events []jsonEvent
	for line := range strings.Lines(text) {
		d := json.NewDecoder(strings.NewReader(line))
		d.UseNumber()
		var e jsonEvent
		if err := d.Decode(&e); err != nil {
			t.Fatalf("not a JSON object: %v: %s", err, line)
		}
		events = append(events, e)
	}
	return events
}

// get returns the value of a field by its dotted name as text, "" if there is none.
func (e jsonEvent) get(field string) string {
	var at any = map[string]any(e)
	for name := range strings.SplitSeq(field, ".") {
		object, _ := at.(map[string]any)
		at = object[name]
	}
	switch v := at.(type) {
	case json.Number:
		return v.String()
	case string:
		return v
	}
	return ""
}

func (e jsonEvent) String() string {
	text, err := json.Marshal(map[string]any(e))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// matches reports whether all that part says is true of whole.
func matches(whole, part any) bool {
	want, ok := part.(map[string]any)
	if !ok {
		a, errA := json.Marshal(whole)
		b, errB := json.Marshal(part)
		return errA == nil && errB == nil && string(a) == string(b)
	}
	have, ok := whole.(map[string]any)
	if !ok {
		return false
	}
	for key, value := range want {
		if v, ok := have[key]; !ok || !matches(v, value) {
			return false
		}
	}
	return true
}

// ofProcesses returns the events of the processes with the given ids, and of their descendants, as
// far as events tell who these are.
func ofProcesses(events []jsonEvent, pids ...string) []jsonEvent {
	for known := -1; known != len(pids); {
		known = len(pids)
		for _, e := range events {
			pid := e.get("proc.pid")
			if slices.Contains(pids, e.get("proc.parent.pid")) && !slices.Contains(pids, pid) {
				pids = append(pids, pid)
			}
		}
	}
	var own []jsonEvent
	for _, e := range events {
		if slices.Contains(pids, e.get("proc.pid")) {
			own = append(own, e)
		}
	}
	return own
}

// byThread groups events by thread; within one, their order stays.
func byThread(events []jsonEvent) map[string][]jsonEvent {
	threads := make(map[string][]jsonEvent)
	for _, e := range events {
		tid := e.get("proc.tid")
		threads[tid] = append(threads[tid], e)
	}
	return threads
}

// wantEvents checks that there are exactly the events that are described, in order within each
// thread.
func wantEvents(t testing.TB, got, want []jsonEvent) {
	t.Helper()
	gotThreads, wantThreads := byThread(got), byThread(want)
	for tid, events := range gotThreads {
		if _, ok := wantThreads[tid]; !ok {
			t.Errorf("thread %s: %d events that the workload does not list, the first %s", tid, len(events), events[0])
		}
	}
	for tid, w := range wantThreads {
		g := gotThreads[tid]
		for i := range max(len(g), len(w)) {
			switch {
			case i >= len(g):
				t.Errorf("thread %s: no event number %d: %s", tid, i, w[i])
			case i >= len(w):
				t.Errorf("thread %s: one event too many: %s", tid, g[i])
			case !matches(map[string]any(g[i]), map[string]any(w[i])):
				t.Errorf("thread %s: event number %d:\n got %s\nwant %s", tid, i, g[i], w[i])
			}
		}
	}
}
