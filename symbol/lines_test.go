// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package symbol

import (
	"fmt"
	"strings"
	"testing"
)

func TestPlaces(t *testing.T) {
	t.Parallel()
	kernel, few, many := &Module{Name: "[kernel]", Kernel: true}, &Module{Name: "/bin/few"}, &Module{Name: "/bin/many"}
	var p Places
	p.Add(&Stack{Locations: []*Location{{Module: kernel, Address: 9}, {Module: few, Address: 5}, {Address: 4}}})
	p.Add(&Stack{Locations: []*Location{{Module: many, Address: 7}, {Module: many, Address: 7}, {Module: many, Address: 0}}})
	p.Add(&Stack{Locations: []*Location{{Module: many, Address: 6}}})
	var got strings.Builder
	for m, addresses := range p.All() {
		fmt.Fprintf(&got, "%s %d; ", m.Name, addresses)
	}
	if want := "/bin/many [0 6 7]; /bin/few [4]; "; got.String() != want || p.Full() {
		t.Errorf("got %s, want %s; full: %v", &got, want, p.Full())
	}
	for i := range maxPlaces {
		p.Add(&Stack{Locations: []*Location{{Module: few, Address: uint64(i)}}})
	}
	n := 0
	for _, addresses := range p.All() {
		n += len(addresses)
	}
	if n != maxPlaces || !p.Full() {
		t.Errorf("%d places, full: %v", n, p.Full())
	}
}

// Two files that are described in the same way may disagree about a place. Then its lines are unknown, and stay so.
func TestLinesThatDisagree(t *testing.T) {
	t.Parallel()
	line := func(name string, n int) []Line {
		return []Line{{Function: &Function{Name: name}, File: "/a.c", Line: n}}
	}
	var l Lines
	if !l.Empty() || l.Of(nil, 1) != nil || (*Lines)(nil).Of(&Module{}, 1) != nil {
		t.Error("what is empty has lines")
	}
	for _, add := range []struct {
		address uint64
		lines   []Line
	}{{1, line("f", 1)}, {1, line("f", 1)}, {2, line("f", 1)}, {2, line("g", 1)}, {2, line("f", 1)}, {3, []Line{{Line: 1}}}, {3, []Line{{Line: 2}}}} {
		if !l.Add(&Module{Name: "/bin/a\x1b"}, add.address, add.lines) {
			t.Error("there is no room")
		}
	}
	m := &Module{Name: `/bin/a\x1b`} // as profiles show it
	if got := l.Of(m, 1); len(got) != 1 || got[0].Function.Name != "f" {
		t.Errorf("what both say is %v", got)
	}
	if a, b := l.Of(m, 2), l.Of(m, 3); a != nil || b != nil {
		t.Errorf("what they disagree about is %v, %v", a, b)
	}
	for at, lines := range l.All() {
		if at.Address != 1 || len(lines) != 1 {
			t.Errorf("%#x has %v", at.Address, lines)
		}
	}
}

func TestRoomForLines(t *testing.T) {
	t.Parallel()
	var l Lines
	m := &Module{Name: "/bin/a"}
	if l.Add(m, 0, []Line{{File: strings.Repeat("x", MaxLines)}}) || l.Add(m, 0, []Line{{Function: &Function{System: strings.Repeat("x", MaxLines)}}}) {
		t.Error("there is room for a text of any length")
	}
	n := 0
	for l.Add(m, uint64(n), []Line{{Function: &Function{Name: fmt.Sprint("f", n%1000), System: "_f"}, File: "/src/a.c", Line: n}, {Function: &Function{Name: "main"}, Line: 1}}) {
		n++
	}
	if n < 25_000 || n > 50_000 {
		t.Errorf("there is room for %d places", n)
	}
	if got := l.Of(m, 7); len(got) != 2 || got[0].Function != l.Of(m, 1007)[0].Function {
		t.Errorf("%v: a function is there twice", got)
	}
}
