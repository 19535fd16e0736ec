// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pcapexpr

import (
	"math"
	"slices"

	"golang.org/x/net/bpf"
)

// facts are what is known of a packet's values at a place in the program. They do not change once they are made.
type facts struct {
	list []fact // sorted by value
}

// The limits of what is remembered. More would only make programs a little shorter.
const (
	maxFacts    = 24
	maxExcluded = 32
)

// fact is what is known of one value.
type fact struct {
	value    int
	from, to uint32
	excluded []uint32
	// clear are masks of which no bit is set, and set those of which one is.
	clear, set []uint32
}

func (f *facts) find(value int) (int, bool) {
	return slices.BinarySearchFunc(f.list, value, func(x fact, v int) int { return x.value - v })
}

// decide returns the result of a test, if the facts say it.
func (f *facts) decide(t *builtTest) (result, ok bool) {
	if t.withX {
		return false, false
	}
	i, found := f.find(t.value)
	if !found {
		return false, false
	}
	x := &f.list[i]
	if x.from == x.to {
		return holds(t.cond, x.from, t.with), true
	}
	switch t.cond {
	case bpf.JumpEqual:
		return false, t.with < x.from || t.with > x.to || slices.Contains(x.excluded, t.with)
	case bpf.JumpGreaterThan:
		return x.from > t.with, x.from > t.with || x.to <= t.with
	case bpf.JumpGreaterOrEqual:
		return x.from >= t.with, x.from >= t.with || x.to < t.with
	}
	set := slices.Contains(x.set, t.with)
	return set, set || slices.Contains(x.clear, t.with)
}

// with returns the facts after a test.
func (f *facts) with(t *builtTest, result bool) *facts {
	if t.withX {
		return f
	}
	i, found := f.find(t.value)
	if !found && len(f.list) >= maxFacts {
		return f
	}
	x := fact{value: t.value, to: math.MaxUint32}
	if found {
		x = f.list[i]
	}
	x.learn(t, result)
	list := slices.Clone(f.list)
	if found {
		list[i] = x
	} else {
		list = slices.Insert(list, i, x)
	}
	return &facts{list}
}

// learn adds the result of a test that was not known.
func (x *fact) learn(t *builtTest, result bool) {
	switch {
	case t.cond == bpf.JumpEqual && result:
		x.from, x.to = t.with, t.with
	case t.cond == bpf.JumpEqual:
		x.excluded = remember(x.excluded, t.with)
	case t.cond == bpf.JumpBitsSet && result:
		x.set = remember(x.set, t.with)
	case t.cond == bpf.JumpBitsSet:
		x.clear = remember(x.clear, t.with)
	case t.cond == bpf.JumpGreaterThan && result:
		x.from = max(x.from, t.with+1)
	case t.cond == bpf.JumpGreaterThan:
		x.to = min(x.to, t.with)
	case result:
		x.from = max(x.from, t.with)
	case t.with > 0:
		x.to = min(x.to, t.with-1)
	}
}

func remember(list []uint32, v uint32) []uint32 {
	if len(list) >= maxExcluded {
		return list
	}
	return append(slices.Clip(list), v)
}

// common returns the facts that both have.
func (f *facts) common(g *facts) *facts {
	var list []fact
	for _, x := range f.list {
		i, found := g.find(x.value)
		if !found {
			continue
		}
		y := &g.list[i]
		both := fact{
			value: x.value, from: min(x.from, y.from), to: max(x.to, y.to),
			excluded: intersect(x.excluded, y.excluded), clear: intersect(x.clear, y.clear), set: intersect(x.set, y.set),
		}
		if both.from > 0 || both.to < math.MaxUint32 || len(both.excluded)+len(both.clear)+len(both.set) > 0 {
			list = append(list, both)
		}
	}
	return &facts{list}
}

func intersect(a, b []uint32) (both []uint32) {
	for _, x := range a {
		if slices.Contains(b, x) {
			both = append(both, x)
		}
	}
	return both
}
