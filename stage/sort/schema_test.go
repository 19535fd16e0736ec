// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package sort_test

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/stage/sort"
)

// sample is a field of each kind with an independent computation of its values.
type sample struct {
	field   event.Field
	compare func(a, b []byte) int // of two records
}

const recordSize = 128

var little = binary.LittleEndian

// bigInt reads size bytes at off as a number of any size.
func bigInt(rec []byte, off, size int, signed bool) *big.Int {
	p := bytes.Clone(rec[off : off+size])
	for i, j := 0, size-1; i < j; i, j = i+1, j-1 {
		p[i], p[j] = p[j], p[i]
	}
	v := new(big.Int).SetBytes(p)
	if signed && p[0] >= 0x80 {
		v.Sub(v, new(big.Int).Lsh(big.NewInt(1), uint(8*size)))
	}
	return v
}

func integer(name string, kind event.Kind, off, size int) sample {
	read := func(rec []byte) *big.Int { return bigInt(rec, off, size, kind == event.Int) }
	return sample{
		event.Field{Name: name, Kind: kind, Off: uint32(off), Size: uint32(size)},
		func(a, b []byte) int { return read(a).Cmp(read(b)) },
	}
}

func float(name string, off, size int) sample {
	read := func(rec []byte) float64 {
		if size == 4 {
			return float64(math.Float32frombits(little.Uint32(rec[off:])))
		}
		return math.Float64frombits(little.Uint64(rec[off:]))
	}
	return sample{
		event.Field{Name: name, Kind: event.Float, Off: uint32(off), Size: uint32(size)},
		func(a, b []byte) int { return cmp.Compare(read(a), read(b)) },
	}
}

func untilNUL(p []byte) string {
	text, _, _ := strings.Cut(string(p), "\x00")
	return text
}

// added returns an added field with a text made of the number at off.
func added(name string, kind event.Kind, off, size int, text func(v int64) string, compare func(a, b int64) int) sample {
	read := func(rec []byte) int64 { return bigInt(rec, off, size, true).Int64() }
	return sample{
		event.Field{Name: name, Kind: kind, Added: true, Text: func(dst []byte, b *event.Batch, row int) []byte {
			return append(dst, text(read(b.Rows[row]))...)
		}},
		func(a, b []byte) int { return compare(read(a), read(b)) },
	}
}

func samples() []sample {
	out := []sample{
		integer("u8", event.Uint, 0, 1), integer("i8", event.Int, 0, 1),
		integer("u16", event.Uint, 2, 2), integer("i16", event.Int, 2, 2),
		integer("u24", event.Uint, 5, 3), integer("i24", event.Int, 5, 3),
		integer("u32", event.Uint, 8, 4), integer("i32", event.Int, 8, 4),
		integer("u64", event.Uint, 16, 8), integer("i64", event.Int, 16, 8),
		integer("u128", event.Uint, 16, 16), integer("i128", event.Int, 16, 16),
		float("f32", 8, 4), float("f64", 24, 8),
		{event.Field{Name: "bool", Kind: event.Bool, Off: 1, Size: 1}, func(a, b []byte) int {
			return cmp.Compare(min(a[1], 1), min(b[1], 1))
		}},
		{event.Field{Name: "ubits", Kind: event.Uint, Off: 8, Size: 4, BitOff: 3, BitSize: 9}, func(a, b []byte) int {
			return cmp.Compare(little.Uint32(a[8:])>>3&511, little.Uint32(b[8:])>>3&511)
		}},
		{event.Field{Name: "ibits", Kind: event.Int, Off: 8, Size: 4, BitOff: 3, BitSize: 9}, func(a, b []byte) int {
			read := func(p []byte) int32 { return int32(little.Uint32(p[8:])<<20) >> 23 }
			return cmp.Compare(read(a), read(b))
		}},
		{event.Field{Name: "string", Kind: event.String, Off: 32, Size: 16}, func(a, b []byte) int {
			return strings.Compare(untilNUL(a[32:48]), untilNUL(b[32:48]))
		}},
		{event.Field{Name: "strings", Kind: event.String, Off: 32, Size: 16, Count: 4}, func(a, b []byte) int {
			return strings.Compare(untilNUL(a[32:48]), untilNUL(b[32:48]))
		}},
		{event.Field{Name: "bytes", Kind: event.Bytes, Off: 32, Size: 11}, func(a, b []byte) int {
			return bytes.Compare(a[32:43], b[32:43])
		}},
		{event.Field{Name: "odd", Kind: event.Uint, Off: 32, Size: 11}, func(a, b []byte) int {
			return bytes.Compare(a[32:43], b[32:43])
		}},
		{event.Field{Name: "uneven", Kind: event.Uint, Off: 32, Size: 11, Count: 5}, func(a, b []byte) int {
			return bytes.Compare(a[32:43], b[32:43])
		}},
		{event.Field{Name: "none", Kind: event.Uint, Off: recordSize, Count: 5}, func(_, _ []byte) int { return 0 }},
		{event.Field{Name: "rest", Kind: event.Bytes, Rest: true, Off: recordSize, LenOff: 1, LenSize: 1}, func(a, b []byte) int {
			read := func(p []byte) []byte { return p[recordSize:][:min(int(p[1]), len(p)-recordSize)] }
			return bytes.Compare(read(a), read(b))
		}},
		added("addedtext", event.String, 16, 8, func(v int64) string { return strconv.FormatInt(v, 36) }, func(a, b int64) int {
			return strings.Compare(strconv.FormatInt(a, 36), strconv.FormatInt(b, 36))
		}),
		added("addedint", event.Int, 16, 8, func(v int64) string { return strconv.FormatInt(v, 10) }, cmp.Compare[int64]),
		added("addeduint", event.Uint, 16, 8, func(v int64) string { return strconv.FormatUint(uint64(v), 10) }, func(a, b int64) int {
			return cmp.Compare(uint64(a), uint64(b))
		}),
		added("addedfloat", event.Float, 16, 8, func(v int64) string { return strconv.FormatFloat(float64(v)/8, 'g', -1, 64) }, func(a, b int64) int {
			return cmp.Compare(float64(a), float64(b))
		}),
		added("maybe", event.Uint, 0, 1, func(v int64) string {
			if v < 0 {
				return ""
			}
			return strconv.FormatInt(v, 10)
		}, func(a, b int64) int { return cmp.Compare(max(a, -1), max(b, -1)) }),
	}
	// A struct that has a text is sorted by the text, but a field of the record by its bytes.
	hexText := func(dst []byte, b *event.Batch, row int) []byte { return hex.AppendEncode(dst, b.Rows[row][32:40]) }
	node := event.Field{Name: "node", Kind: event.Struct, Off: 32, Size: 8, Text: hexText}
	out = append(out, sample{node, func(a, b []byte) int { return bytes.Compare(a[32:40], b[32:40]) }})
	other := integer("time_raw", event.Uint, 16, 8)
	other.field.Text = hexText
	return append(out, other, array("u16s", event.Uint, 32, 2, 5), array("i64s", event.Int, 32, 8, 2),
		array("i128s", event.Int, 16, 16, 2), array("f32s", event.Float, 32, 4, 3))
}

// array compares element by element.
func array(name string, kind event.Kind, off, size, count int) sample {
	return sample{
		event.Field{Name: name, Kind: kind, Off: uint32(off), Size: uint32(size * count), Count: uint32(count)},
		func(a, b []byte) int {
			for i := range count {
				one := integer("", kind, off+i*size, size)
				if kind == event.Float {
					one = float("", off+i*size, size)
				}
				if c := one.compare(a, b); c != 0 {
					return c
				}
			}
			return 0
		},
	}
}

// newSchema returns a schema with all samples.
func newSchema(single bool, all []sample) *event.Schema {
	s := &event.Schema{Name: "ds", Single: single, Size: recordSize}
	for _, one := range all {
		one.field.Parent = event.NoParent
		s.Fields = append(s.Fields, one.field)
	}
	return s
}

// randomRecord makes records whose values are often equal, or equal at their beginning, and often at
// the ends of their range.
func randomRecord(r *rand.Rand) []byte {
	rec := make([]byte, recordSize+r.IntN(4)*r.IntN(8))
	for i := range rec {
		rec[i] = []byte{0, 0, 1, 0x7f, 0x80, 0xff, 'a', 'b'}[r.IntN(8)]
	}
	switch r.IntN(4) {
	case 0: // floats that are special
		little.PutUint64(rec[24:], math.Float64bits([]float64{math.NaN(), -math.NaN(), 0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), 1.5}[r.IntN(7)]))
		little.PutUint32(rec[8:], math.Float32bits([]float32{float32(math.NaN()), 0, float32(math.Copysign(0, -1)), float32(math.Inf(-1)), -2.5, 1e-45}[r.IntN(6)]))
	case 1: // many ties
		clear(rec[:8])
		clear(rec[16:])
	case 2: // adjacent numbers in 64 bits, which floats could not distinguish
		little.PutUint64(rec[16:], math.MaxUint64-uint64(r.IntN(4)))
	}
	return rec
}

func batchOf(s *event.Schema, rows [][]byte) *event.Batch {
	b := new(event.Batch)
	b.Reset(s)
	b.Rows = append(b.Rows, rows...)
	return b
}

// randomKeys picks some of the samples to sort by.
func randomKeys(r *rand.Rand, all []sample) (keys []sort.Key, compare func(a, b []byte) int) {
	var compares []func(a, b []byte) int
	for _, i := range r.Perm(len(all))[:1+r.IntN(3)] {
		key := sort.Key{Field: all[i].field.Name, Descending: r.IntN(2) == 0}
		one := all[i].compare
		if key.Descending {
			one = func(a, b []byte) int { return all[i].compare(b, a) }
		}
		keys, compares = append(keys, key), append(compares, one)
	}
	return keys, func(a, b []byte) int {
		for _, one := range compares {
			if c := one(a, b); c != 0 {
				return c
			}
		}
		return 0
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
