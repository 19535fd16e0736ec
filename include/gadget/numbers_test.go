// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0

package gadget_test

import (
	"encoding/binary"
	"hash/fnv"
	"math/bits"
	"math/rand/v2"
	"testing"
)

// numbers are those around which something may go wrong, and some others.
func numbers() []uint64 {
	all := []uint64{0, 0x0123456789abcdef, 1e18}
	for bit := range 64 {
		all = append(all, 1<<bit, 1<<bit-1, 1<<bit+1, ^uint64(0)>>bit)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		all = append(all, random.Uint64()>>random.IntN(64))
	}
	return all
}

func TestLog2(t *testing.T) {
	requireKernel(t)
	coll := load(t, parse(t, "numbers"), nil)
	log2 := func(v uint64) uint64 { return uint64(max(bits.Len64(v)-1, 0)) }
	for _, v := range numbers() {
		run(t, coll.Programs["run_log2"], v)
		if got, want := get[uint64](t, coll, "result"), log2(uint64(uint32(v))); got != want {
			t.Errorf("log2(%#x) is %d, want %d", uint32(v), got, want)
		}
		run(t, coll.Programs["run_log2l"], v)
		if got, want := get[uint64](t, coll, "result"), log2(v); got != want {
			t.Errorf("log2l(%#x) is %d, want %d", v, got, want)
		}
		run(t, coll.Programs["run_slot_idx"], v)
		if got, want := get[uint64](t, coll, "result"), uint64(bits.Len64(v)); got != want {
			t.Errorf("get_slot_idx(%#x) is %d, want %d", v, got, want)
		}
		for _, name := range []string{"unchecked", "clamped"} {
			run(t, coll.Programs[name], v)
		}
		if run(t, coll.Programs["slot"], v) != 0 {
			t.Errorf("log2l(%#x) is no slot", v)
		}
	}
}

// The verifier follows both ways of a branch, and processes everything after it each time.
func TestLog2HasNoBranch(t *testing.T) {
	for _, name := range []string{"run_log2", "run_log2l", "run_slot_idx"} {
		for _, ins := range parse(t, "numbers").Programs[name].Instructions {
			if op := ins.OpCode; op.Class().IsJump() && op.JumpOp().String() != "Exit" {
				t.Errorf("%s: %v", name, ins)
			}
		}
	}
}

func TestFNV1a(t *testing.T) {
	requireKernel(t)
	coll := load(t, parse(t, "numbers"), nil)
	last := uint64(42)
	for _, v := range numbers() {
		var message []byte
		message = append(message, byte(v))
		message = binary.LittleEndian.AppendUint16(message, uint16(v))
		message = binary.LittleEndian.AppendUint32(message, uint32(v))
		message = binary.LittleEndian.AppendUint64(message, v)
		message = binary.LittleEndian.AppendUint64(message, last)

		want32, want64 := fnv.New32a(), fnv.New64a()
		want32.Write(message)
		want64.Write(message)
		run(t, coll.Programs["run_fnv_32a"], v, last)
		if got, want := get[uint64](t, coll, "result"), uint64(want32.Sum32()); got != want {
			t.Errorf("% x: 32 bits: %#x, want %#x", message, got, want)
		}
		run(t, coll.Programs["run_fnv_64a"], v, last)
		if got, want := get[uint64](t, coll, "result"), want64.Sum64(); got != want {
			t.Errorf("% x: 64 bits: %#x, want %#x", message, got, want)
		}
		last = v
	}
}
