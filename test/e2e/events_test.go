// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// jsonEvent is an event as the json format writes it, or a part of one.
type jsonEvent map[string]any

// output is what a run printed in the json format.
type output struct {
	rows   []jsonEvent
	arrays bool // each line was an array of rows
}

// parseOutput reads an event, or an array of rows, a line. Numbers stay as they are written.
func parseOutput(t testing.TB, text string) output {
	t.Helper()
	var o output
	for line := range strings.Lines(text) {
		d := json.NewDecoder(strings.NewReader(line))
		d.UseNumber()
		if strings.HasPrefix(line, "[") {
			var rows []jsonEvent
			if err := d.Decode(&rows); err != nil {
				t.Fatalf("not a JSON array of objects: %v: %s", err, line)
			}
			o.rows, o.arrays = append(o.rows, rows...), true
			continue
		}
		var e jsonEvent
		if err := d.Decode(&e); err != nil {
			t.Fatalf("not a JSON object: %v: %s", err, line)
		}
		o.rows = append(o.rows, e)
	}
	return o
}

// parseEvents reads one event a line.
func parseEvents(t testing.TB, text string) []jsonEvent {
	t.Helper()
	o := parseOutput(t, text)
	if o.arrays {
		t.Fatalf("arrays, where single events were expected: %.200s", text)
	}
	return o.rows
}

// find returns the value of a field by its dotted name, nil if there is none.
func (e jsonEvent) find(field string) any {
	var at any = map[string]any(e)
	for name := range strings.SplitSeq(field, ".") {
		object, _ := at.(map[string]any)
		at = object[name]
	}
	return at
}

func (e jsonEvent) has(field string) bool { return e.find(field) != nil }

// get returns the value of a field as text, "" if there is none.
func (e jsonEvent) get(field string) string {
	switch v := e.find(field).(type) {
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

// pid returns the process of the event, if the event has it. A row of a snapshot of processes is a process itself.
func (e jsonEvent) pid() string { return cmp.Or(e.get("proc.pid"), e.get("pid")) }

// tid returns the thread.
func (e jsonEvent) tid() string { return cmp.Or(e.get("proc.tid"), e.get("tid")) }

// parent is the parent of that process.
func (e jsonEvent) parent() string { return cmp.Or(e.get("proc.parent.pid"), e.get("parent.pid")) }

// ofProcesses returns the events of the processes with the given ids, and of their descendants, as
// far as the events show the parents.
func ofProcesses(events []jsonEvent, pids ...string) []jsonEvent {
	for known := -1; known != len(pids); {
		known = len(pids)
		for _, e := range events {
			if slices.Contains(pids, e.parent()) && !slices.Contains(pids, e.pid()) {
				pids = append(pids, e.pid())
			}
		}
	}
	var own []jsonEvent
	for _, e := range events {
		if slices.Contains(pids, e.pid()) {
			own = append(own, e)
		}
	}
	return own
}

// byThread groups events by thread; the order within a thread stays.
func byThread(events []jsonEvent) map[string][]jsonEvent {
	threads := make(map[string][]jsonEvent)
	for _, e := range events {
		threads[e.tid()] = append(threads[e.tid()], e)
	}
	return threads
}

// wantEvents checks that there are exactly the events that are described, in order within each
// thread.
func wantEvents(t testing.TB, got, want []jsonEvent) {
	t.Helper()
	for _, e := range want {
		if e.pid() == "" || e.tid() == "" {
			t.Fatalf("the workload lists an event without a process or a thread: %s", e)
		}
	}
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

// wantRows checks that each row that is described is there, in any order, and if exact is true that
// there are no others.
func wantRows(t testing.TB, got, want []jsonEvent, exact bool) {
	t.Helper()
	taken := make(map[int]bool)
	for w, g := range assign(len(want), len(got), func(w, g int) bool {
		return matches(map[string]any(got[g]), map[string]any(want[w]))
	}) {
		taken[g] = true
		if g < 0 {
			t.Errorf("no row, or not enough rows, like %s", want[w])
		}
	}
	for g, e := range got {
		if exact && !taken[g] {
			t.Errorf("a row that the workload does not list: %s", e)
		}
	}
}

// assign pairs as many of the first things as possible with one of the second things each: one that fits, and
// that is in no other pair. It returns the index of the second thing for each first, or -1.
func assign(first, second int, fits func(i, j int) bool) []int {
	of, to := make([]int, first), make([]int, second)
	for i := range of {
		of[i] = -1
	}
	for j := range to {
		to[j] = -1
	}
	var place func(i int, tried []bool) bool
	place = func(i int, tried []bool) bool {
		for j := range second {
			if tried[j] || !fits(i, j) {
				continue
			}
			tried[j] = true
			if to[j] < 0 || place(to[j], tried) {
				of[i], to[j] = j, i
				return true
			}
		}
		return false
	}
	for i := range first {
		place(i, make([]bool, second))
	}
	return of
}
