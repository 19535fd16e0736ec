// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package hashmap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// fake is a hash map that does as the kernel's do. Keys and values have four bytes.
type fake struct {
	buckets [][]entry
	calls   int
	// before, if set, is called at the beginning of each call with its number, and may fail it.
	before func(call int) error
	// noBatches is the error of the kernel's batch calls; 0: the kernel has them.
	noBatches unix.Errno
}

type entry struct{ key, value uint32 }

func newFake(buckets ...int) *fake {
	f := &fake{}
	key := uint32(0)
	for _, n := range buckets {
		var b []entry
		for range n {
			key++
			b = append(b, entry{key, key * 10})
		}
		f.buckets = append(f.buckets, b)
	}
	return f
}

func (f *fake) call() error {
	f.calls++
	if f.before == nil {
		return nil
	}
	return f.before(f.calls)
}

func (f *fake) takeBatch(from uint32, first bool, keys, values []byte, n int) (next uint32, got int, err error) {
	if f.noBatches != 0 {
		return 0, n, f.noBatches
	}
	if err := f.call(); err != nil {
		return 0, n, err
	}
	if first {
		from = 0
	}
	for i := from; int(i) < len(f.buckets); i++ {
		if len(f.buckets[i]) > n-got {
			if got == 0 {
				return i, 0, unix.ENOSPC
			}
			return i, got, nil
		}
		for _, e := range f.buckets[i] {
			binary.LittleEndian.PutUint32(keys[got*4:], e.key)
			binary.LittleEndian.PutUint32(values[got*4:], e.value)
			got++
		}
		f.buckets[i] = nil
	}
	return uint32(len(f.buckets)), got, unix.ENOENT
}

func (f *fake) list() []entry { return slices.Concat(f.buckets...) }

func (f *fake) nextKey(key, next []byte) error {
	if err := f.call(); err != nil {
		return err
	}
	i := 0
	if key != nil {
		i = slices.IndexFunc(f.list(), is(key)) + 1 // after a deleted key: the first
	}
	if i == len(f.list()) {
		return unix.ENOENT
	}
	binary.LittleEndian.PutUint32(next, f.list()[i].key)
	return nil
}

func is(key []byte) func(entry) bool {
	return func(e entry) bool { return e.key == binary.LittleEndian.Uint32(key) }
}

func (f *fake) lookup(key, value []byte) error {
	if err := f.call(); err != nil {
		return err
	}
	i := slices.IndexFunc(f.list(), is(key))
	if i < 0 {
		return unix.ENOENT
	}
	binary.LittleEndian.PutUint32(value, f.list()[i].value)
	return nil
}

func (f *fake) remove(key []byte) error {
	if err := f.call(); err != nil {
		return err
	}
	for i := range f.buckets {
		if j := slices.IndexFunc(f.buckets[i], is(key)); j >= 0 {
			f.buckets[i] = slices.Delete(f.buckets[i], j, j+1)
			return nil
		}
	}
	return unix.ENOENT
}

// take returns the result of Take as a map; a key must not come twice.
func take(t *testing.T, m *Map) (map[uint32]uint32, error) {
	t.Helper()
	got := make(map[uint32]uint32)
	err := m.Take(func(key, value []byte) {
		k := binary.LittleEndian.Uint32(key)
		if _, ok := got[k]; ok {
			t.Errorf("key %d twice", k)
		}
		got[k] = binary.LittleEndian.Uint32(value)
	})
	return got, err
}

func wantAll(t *testing.T, got map[uint32]uint32, n int) {
	t.Helper()
	want := make(map[uint32]uint32)
	for i := range uint32(n) {
		want[i+1] = (i + 1) * 10
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestTakesAll(t *testing.T) {
	t.Parallel()
	many := slices.Repeat([]int{1, 0, 2, 0, 0, 3}, 50_000)
	for _, c := range []struct {
		name    string
		buckets []int
		calls   int // 0: as many as it takes
	}{
		{"nothing", nil, 1},
		{"empty buckets", []int{0, 0, 0}, 1},
		{"one", []int{1}, 1},
		{"several batches", many, 0},
		{"a bucket larger than a batch", []int{3, batchBytes, 5}, 0},
		{"the last is larger than a batch", []int{1, batchBytes}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n := 0
			for _, b := range c.buckets {
				n += b
			}
			for _, noBatches := range []unix.Errno{0, unix.EINVAL, 524} {
				if noBatches != 0 && n > 1000 {
					continue // the fake is slow
				}
				f := newFake(c.buckets...)
				f.noBatches = noBatches
				m := newMap(f, 4, 4, n)
				got, err := take(t, m)
				if err != nil {
					t.Fatal(err)
				}
				wantAll(t, got, n)
				if c.calls > 0 && noBatches == 0 && f.calls != c.calls {
					t.Errorf("%d calls, want %d", f.calls, c.calls)
				}
				if len(f.list()) > 0 {
					t.Errorf("left: %v", f.list())
				}
			}
		})
	}
}

func TestWithoutBatchesAreNotTriedAgain(t *testing.T) {
	t.Parallel()
	f := newFake(2)
	f.noBatches = unix.EINVAL
	m := newMap(f, 4, 4, 10)
	for range 2 {
		if _, err := take(t, m); err != nil {
			t.Fatal(err)
		}
		f.noBatches = unix.EIO
	}
}

// Meanwhile the program adds entries to buckets before and after the current one.
func TestMapChangesMeanwhile(t *testing.T) {
	t.Parallel()
	const n = batchBytes / 8
	f := newFake(1, n, 1, n, 1)
	f.before = func(call int) error {
		if call > 20 {
			return errors.New("there is no end")
		}
		f.buckets[0] = append(f.buckets[0], entry{uint32(1_000_000 + call), 1})
		f.buckets[4] = append(f.buckets[4], entry{uint32(2_000_000 + call), 1})
		return nil
	}
	got, err := take(t, newMap(f, 4, 4, 10*n))
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint32(2*n + 3) {
		if got[i+1] != (i+1)*10 {
			t.Fatalf("key %d: %d", i+1, got[i+1])
		}
	}
	for _, e := range f.list() {
		if _, ok := got[e.key]; ok {
			t.Errorf("key %d was taken and is there", e.key)
		}
	}
}

// Programs remove entries while Take reads key by key: the kernel then begins again.
func TestEntriesVanishMeanwhile(t *testing.T) {
	t.Parallel()
	f := newFake(3, 3)
	f.noBatches = unix.EINVAL
	f.before = func(call int) error {
		if call == 3 {
			return f.vanish(2) // the key that comes next after 1 was 2
		}
		if call == 9 {
			return f.vanish(6)
		}
		return nil
	}
	got, err := take(t, newMap(f, 4, 4, 20))
	if err != nil {
		t.Fatal(err)
	}
	if want := (map[uint32]uint32{1: 10, 3: 30, 4: 40, 5: 50}); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func (f *fake) vanish(key uint32) error {
	for i := range f.buckets {
		f.buckets[i] = slices.DeleteFunc(f.buckets[i], func(e entry) bool { return e.key == key })
	}
	return nil
}

// A program that removes and adds entries all the time does not keep the walk from ending.
func TestListIsBounded(t *testing.T) {
	t.Parallel()
	f := newFake(4)
	f.noBatches = unix.EINVAL
	key := uint32(100)
	f.before = func(call int) error {
		if call < 1000 {
			f.buckets[0] = f.buckets[0][1:]
			key++
			f.buckets[0] = append(f.buckets[0], entry{key, 1})
		}
		return nil
	}
	if _, err := take(t, newMap(f, 4, 4, 8)); err != nil || f.calls > 8+2*8 {
		t.Errorf("%d calls, %v", f.calls, err)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for _, noBatches := range []unix.Errno{0, unix.EINVAL} {
		for _, errno := range []unix.Errno{unix.EPERM, unix.EFAULT, unix.ENOMEM} {
			for failing := 1; failing <= 3; failing++ {
				f := newFake(batchBytes/8, batchBytes/8, 7, 7, 7)
				f.noBatches = noBatches
				f.before = func(call int) error {
					if call == failing {
						return errno
					}
					return nil
				}
				got, err := take(t, newMap(f, 4, 4, batchBytes))
				if !errors.Is(err, errno) {
					t.Errorf("call %d: got %v, want %v", failing, err, errno)
				}
				if len(got)+len(f.list()) != batchBytes/4+21 {
					t.Errorf("call %d: %d taken and %d left", failing, len(got), len(f.list()))
				}
			}
		}
	}
}

// Take must not loop forever if the kernel says that a batch as large as the map has too little room.
func TestNoRoomForever(t *testing.T) {
	t.Parallel()
	f := newFake(100)
	if _, err := take(t, newMap(f, 4, 4, 50)); !errors.Is(err, unix.ENOSPC) || f.calls > 3 {
		t.Errorf("%d calls, %v", f.calls, err)
	}
}

func TestTakeAllocatesNothing(t *testing.T) {
	for _, noBatches := range []unix.Errno{0, unix.EINVAL} {
		f := newFake()
		m := newMap(quiet{f, noBatches}, 4, 4, 64)
		var got []byte
		add := func(key, value []byte) { got = append(append(got[:0], key...), value...) }
		if n := testing.AllocsPerRun(10, func() {
			if err := m.Take(add); err != nil {
				t.Fatal(err)
			}
		}); n > 0 {
			t.Errorf("%v allocations", n)
		}
		if !bytes.Equal(got, []byte{64, 0, 0, 0, 64, 0, 0, 0}) {
			t.Errorf("got %v", got)
		}
	}
}

// quiet is a map of 64 entries that never changes.
type quiet struct {
	*fake
	noBatches unix.Errno
}

func (q quiet) takeBatch(_ uint32, _ bool, keys, values []byte, _ int) (uint32, int, error) {
	if q.noBatches != 0 {
		return 0, 0, q.noBatches
	}
	for i := range 64 {
		keys[i*4], values[i*4] = byte(i+1), byte(i+1)
	}
	return 0, 64, unix.ENOENT
}

func (q quiet) nextKey(key, next []byte) error {
	if key != nil && key[0] == 64 {
		return unix.ENOENT
	}
	clear(next)
	next[0] = 1
	if key != nil {
		next[0] = key[0] + 1
	}
	return nil
}

func (q quiet) lookup(key, value []byte) error { copy(value, key); return nil }
func (q quiet) remove([]byte) error            { return nil }

func ExamplePerCPU() {
	fmt.Println(PerCPU(1), PerCPU(8), PerCPU(13))
	// Output: 8 8 16
}
