// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package stacks

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
)

// bytesOf are addresses as a record has them.
func bytesOf(addresses []uint64) (data []byte) {
	for _, a := range addresses {
		data = binary.NativeEndian.AppendUint64(data, a)
	}
	return data
}

// plausible returns a stack of a process: n addresses in a few files.
func plausible(r *rand.Rand, n int) (stack []uint64) {
	files := []uint64{0x5581_2000_0000, 0x7f3a_1000_0000, 0x7f3a_2200_0000}
	for range n {
		stack = append(stack, files[r.IntN(len(files))]+r.Uint64N(1<<20))
	}
	return stack
}

func TestStore(t *testing.T) {
	t.Parallel()
	var s store
	s.begin(100)
	all := map[uint32][]uint64{
		100: {1},
		101: {0xffff_ffff_8100_0000, 0xffff_ffff_8100_0010, 0},
		105: {^uint64(0), 0, ^uint64(0), 1 << 63},
		103: nil, // sent late
	}
	for _, id := range []uint32{100, 101, 105, 103} {
		s.put(id, id%2 == 1, bytesOf(all[id]))
	}
	for id := range uint32(200) {
		want, there := all[id]
		got, user, ok := s.get([]uint64{7}, id)
		if ok != there || user != (there && id%2 == 1) || !slices.Equal(got, append([]uint64{7}, want...)) {
			t.Errorf("stack %d: %v, of a process %v, found %v", id, got, user, ok)
		}
	}
	s.begin(101)
	if _, _, ok := s.get(nil, 101); ok {
		t.Error("the store is not empty")
	}
}

// 20,000 stacks of 24 addresses take little memory.
func TestStoreIsPacked(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	var s store
	s.begin(1)
	for id := range uint32(20_000) {
		s.put(id+1, true, bytesOf(plausible(r, 24)))
	}
	if s.size() > 3<<20 {
		t.Errorf("%d bytes", s.size())
	}
	t.Logf("%d bytes for each stack", s.size()/20_000)
}

func BenchmarkStore(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	var s store
	s.begin(0)
	for id := range uint32(1000) {
		s.put(id, true, bytesOf(plausible(r, 24)))
	}
	buf := make([]uint64, 0, maxDepth)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		buf, _, _ = s.get(buf[:0], uint32(i%1000))
	}
}
