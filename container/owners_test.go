// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package container

import (
	"math/rand/v2"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
)

// A finder that keeps its place finds what a new one finds, while owners come and go and the table is rebuilt.
func TestFinderKeepsUp(t *testing.T) {
	t.Parallel()
	var o owners
	f := finder{owners: &o}
	random := rand.New(rand.NewPCG(1, 2))
	found := 0
	for i := range 200_000 {
		key := uint64(random.IntN(300)) // of which some share a slot
		switch random.IntN(8) {
		case 0:
			o.set(key, link([]*owner{{handle: event.Handle(i), from: int64(random.IntN(10))}}))
		case 1:
			o.set(key, nil)
		case 2:
			if chain := o.chain(key); len(chain) > 0 {
				chain[0].to.Store(int64(random.IntN(10)))
			}
		default:
			at := int64(random.IntN(12))
			got, want := f.find(key, at), o.find(key, at)
			if got != want {
				t.Fatalf("step %d: key %d at %d: got %d, want %d", i, key, at, got, want)
			}
			if again := f.find(key, at); again != want {
				t.Fatalf("step %d: key %d at %d: the second time %d, want %d", i, key, at, again, want)
			}
			if got != 0 {
				found++
			}
		}
	}
	if found < 1000 {
		t.Errorf("only %d were found", found)
	}
}

// A number that was not there when the finder looked for it may come into another slot than the one that was empty then.
func TestFinderOfANumberThatComesLater(t *testing.T) {
	t.Parallel()
	var o owners
	o.set(1, link([]*owner{{handle: 1, from: 1}}))
	table := o.table.Load()
	first := uint64(2)
	second := first + 1
	for table.slot(second) != table.slot(first) {
		second++
	}
	f := finder{owners: &o}
	if got := f.find(second, 5); got != 0 {
		t.Errorf("got %d for a number without an owner", got)
	}
	o.set(first, link([]*owner{{handle: 2, from: 1}}))
	o.set(second, link([]*owner{{handle: 3, from: 1}}))
	if got := f.find(second, 5); got != 3 {
		t.Errorf("got %d, want 3", got)
	}
}
