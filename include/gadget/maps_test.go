// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0

package gadget_test

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cilium/ebpf"
)

func TestLookupOrTryInit(t *testing.T) {
	requireKernel(t)
	coll := load(t, parse(t, "maps"), nil)
	count, counts := coll.Programs["count"], coll.Maps["counts"]

	const size = 16
	for key := range uint64(size) {
		if run(t, count, key, 100*key) != 0 {
			t.Fatalf("key %d: no value", key)
		}
	}
	run(t, count, 3, 1000) // is there already: its init doesn't count
	for key := range uint64(size) {
		want := 100*key + 1
		if key == 3 {
			want++
		}
		checkCount(t, counts, key, want)
	}
	if run(t, count, size, 0) != 1 {
		t.Error("a full map took another key")
	}
}

// Two calls at the same time that both miss a key: the later call must find the other's value,
// and neither overwrite it nor fail.
func TestLookupOrTryInitRace(t *testing.T) {
	requireKernel(t)
	const rounds, workers = 5000, 2
	spec := parse(t, "maps")
	spec.Maps["counts"].MaxEntries = rounds
	coll := load(t, spec, nil)

	var wg sync.WaitGroup
	var arrived atomic.Uint64
	for range workers {
		wg.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			for key := range uint64(rounds) {
				// Start together.
				for arrived.Add(1); arrived.Load() < workers*(key+1); {
					runtime.Gosched()
				}
				ret, err := coll.Programs["count"].Run(&ebpf.RunOptions{Context: [maxArgs]uint64{key}})
				if ret != 0 || err != nil {
					t.Errorf("key %d: no value: %d, %v", key, ret, err)
				}
			}
		})
	}
	wg.Wait()
	for key := range uint64(rounds) {
		checkCount(t, coll.Maps["counts"], key, workers)
	}
}

func checkCount(t *testing.T, counts *ebpf.Map, key, want uint64) {
	t.Helper()
	var got uint64
	if err := counts.Lookup(key, &got); err != nil || got != want {
		t.Errorf("key %d: %d, %v; want %d", key, got, err, want)
	}
}

// Taking an entry removes it; taking a missing entry does not change the variable.
func TestMapTake(t *testing.T) {
	requireKernel(t)
	coll := load(t, parse(t, "maps"), nil)
	run(t, coll.Programs["count"], 5, 41)
	run(t, coll.Programs["count"], 6, 50)
	for _, tt := range []struct {
		key, taken uint64
		found      uint32
	}{{5, 42, 1}, {5, 0, 0}, {6, 51, 1}, {7, 0, 0}} {
		found := run(t, coll.Programs["take"], tt.key)
		if taken := get[uint64](t, coll, "taken"); found != tt.found || taken != tt.taken {
			t.Errorf("key %d: took %d, %d; want %d, %d", tt.key, found, taken, tt.found, tt.taken)
		}
	}
}
