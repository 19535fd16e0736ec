// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package hook

import "testing"

// Two descriptions fit. A third takes the place of the one that has had no user for longest.
func TestDescriptions(t *testing.T) {
	t.Parallel()
	d := newDescriptions(2)
	step := 0
	take := func(text string, wantID uint32, wantNew bool) {
		t.Helper()
		step++
		if id, isNew, ok := d.take(text); id != wantID || isNew != wantNew || !ok {
			t.Errorf("step %d: take %q: index %d, new %v, ok %v; want %d, %v", step, text, id, isNew, ok, wantID, wantNew)
		}
	}
	full := func(text string) {
		t.Helper()
		step++
		if id, _, ok := d.take(text); ok {
			t.Errorf("step %d: %q fits at index %d", step, text, id)
		}
	}
	take("a", 0, true)
	take("b", 1, true)
	take("a", 0, false)
	full("c")
	d.release(0)
	full("c") // "a" still has a user
	d.release(1)
	d.release(0)
	take("a", 0, false) // it was kept
	d.release(0)
	take("c", 1, true) // "b" was free for longer
	take("d", 0, true)
	full("b")
	d.release(1)
	take("b", 1, true)
	full("c")
}

// A description that could not be put into the map is not there for the next one.
func TestDroppedDescription(t *testing.T) {
	t.Parallel()
	d := newDescriptions(1)
	id, _, _ := d.take("a")
	d.drop(id)
	if id, isNew, ok := d.take("a"); id != 0 || !isNew || !ok {
		t.Errorf("index %d, new %v, ok %v", id, isNew, ok)
	}
}
