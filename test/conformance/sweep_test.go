// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gizmo-ebpf/gizmo/encode"
)

// sweep sets one field of many records to the values, writes them, and compares each.
func sweep[T any](t *testing.T, field string, values []T, set func(*record, T), want func(T) any) {
	t.Run(field, func(t *testing.T) {
		t.Parallel()
		k := replay(t).compose(t, specOf(t, "all"), machine())
		o := encode.Options{Fields: k.choose(t, field)}
		for chunk := range slices.Chunk(values, 512) {
			k.rows = k.rows[:0]
			for _, v := range chunk {
				var r record
				set(&r, v)
				k.rows = append(k.rows, r.bytes(""))
			}
			for i, got := range decodeEvents(t, k, o) {
				for _, problem := range differences("", got, object{field: want(chunk[i])}) {
					t.Errorf("%v: %s", chunk[i], problem)
				}
			}
		}
	})
}

// upTo returns the numbers from 0 to n.
func upTo[T int32 | uint32](n T) []T {
	var all []T
	for i := T(0); i <= n; i++ {
		all = append(all, i)
	}
	return all
}

// random returns numbers of every length, half of them near a power of ten, where rounding is hard.
func random(n int) []uint64 {
	r := rand.New(rand.NewPCG(1, 2))
	all := []uint64{0, math.MaxUint64, math.MaxInt64, math.MaxInt64 + 1}
	for range n {
		near := uint64(math.Pow10(r.IntN(20))) * (1 + r.Uint64N(9)) / (1 + r.Uint64N(2))
		all = append(all, r.Uint64()>>r.UintN(64), near+r.Uint64N(3)-1, near-near/200-1+r.Uint64N(3))
	}
	return all
}

func TestEveryValueReadsAsTheStandardLibrarySays(t *testing.T) {
	t.Parallel()
	sweep(t, "mode", upTo[uint32](0o177777), func(r *record, v uint32) { r.Mode = v }, mode)
	sweep(t, "error", upTo[int32](700), func(r *record, v int32) { r.Error = v }, errno)
	sweep(t, "code_name", upTo[int32](700), func(r *record, v int32) { r.Code = -v }, errno)
	sweep(t, "sig", upTo[uint32](130), func(r *record, v uint32) { r.Sig = v }, signal)
	sweep(t, "flags", pairs(), func(r *record, v uint32) { r.Flags = v }, func(v uint32) any { return openFlags(uint64(v)) })
	sweep(t, "size", random(3000), func(r *record, v uint64) { r.Size = v }, size)
	sweep(t, "took", random(3000), func(r *record, v uint64) { r.Took = v }, duration)
	sweep(t, "u64", random(3000), func(r *record, v uint64) { r.U64 = v }, number)
	sweep(t, "f64", random(3000), func(r *record, v uint64) { r.F64 = math.Float64frombits(v) },
		func(v uint64) any { return float(math.Float64frombits(v), 64) })
	sweep(t, "f32", random(3000), func(r *record, v uint64) { r.F32 = math.Float32frombits(uint32(v)) },
		func(v uint64) any { return float(float64(math.Float32frombits(uint32(v))), 32) })
	sweep(t, "u128", wides(), func(r *record, v wide) { r.U128 = v }, unsigned128)
	sweep(t, "i128", wides(), func(r *record, v wide) { r.I128 = v }, signed128)
}

// TestEveryMoment is apart from the others, since it bounds its values.
func TestEveryMoment(t *testing.T) {
	t.Parallel()
	var times []uint64
	for _, v := range random(3000) {
		times = append(times, v%(1<<62))
	}
	sweep(t, "timestamp", times, func(r *record, v uint64) { r.Timestamp = v },
		func(v uint64) any { return moment(v, "2006-01-02T15:04:05.000000000Z07:00") })
	sweep(t, "moment", times, func(r *record, v uint64) { r.When = v },
		func(v uint64) any { return moment(v, "Mon Jan _2 15:04:05.000 2006") })
}

// pairs returns all numbers of 32 bits of which two are set, or three, the lowest among them.
func pairs() []uint32 {
	var all []uint32
	for i := range 32 {
		for j := range i + 1 {
			all = append(all, 1<<i|1<<j, 1<<i|1<<j|1)
		}
	}
	return all
}

// wides returns numbers of 128 bits.
func wides() []wide {
	var all []wide
	numbers := random(500)
	for i, low := range numbers {
		all = append(all, wide{low, numbers[len(numbers)-1-i]}, wide{0, low}, wide{low, math.MaxUint64})
	}
	return all
}
