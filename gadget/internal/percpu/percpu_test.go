// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package percpu_test

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/percpu"
)

// the value of every field is 8 bytes unless it says otherwise.
func scalar(name string, kind event.Kind, types ...string) event.Field {
	return event.Field{Name: name, Kind: kind, Types: types, Size: 8, Parent: event.NoParent}
}

func u64s(n ...uint64) []byte {
	var b []byte
	for _, v := range n {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return b
}

// merge merges the values that a field has on each CPU. The field follows a key of 3 bytes.
func merge(f event.Field, values ...[]byte) []byte {
	const off = 3
	f.Off = off
	s := &event.Schema{Size: off + f.Size, Fields: []event.Field{{Name: "key", Kind: event.Uint, Size: off, Parent: event.NoParent, Types: []string{"u24"}}, f}}
	stride := (int(f.Size) + 7) &^ 7
	p := percpu.New(s, off, stride)
	var all []byte
	for _, v := range values {
		all = append(all, v...)
		all = append(all, make([]byte, stride-len(v))...)
	}
	dst := slices.Repeat([]byte{0xee}, int(f.Size)+1)
	p.Merge(dst, all)
	if dst[f.Size] != 0xee {
		panic("wrote beyond the end")
	}
	return dst[:f.Size]
}

func TestRules(t *testing.T) {
	t.Parallel()
	uint64s := func(types ...string) event.Field { return scalar("f", event.Uint, types...) }
	enum := func(name string) event.Field {
		f := scalar("f", event.Uint, name)
		f.Enum = &event.Enum{Name: name}
		return f
	}
	for _, c := range []struct {
		name string
		f    event.Field
		in   []uint64
		want uint64
	}{
		{"counts are added", uint64s("__u64", "unsigned long long"), []uint64{1, 0, 3}, 4},
		{"negative ones, too", scalar("f", event.Int, "__s64"), []uint64{5, math.MaxUint64 - 1}, 3},
		{"counters", uint64s("gadget_counter__u64", "__u64"), []uint64{1, 2}, 3},
		{"gauges", uint64s("gadget_gauge__u64", "__u64"), []uint64{1, 2}, 3},
		{"slots", uint64s("gadget_histogram_slot__u64", "__u64"), []uint64{1, 2}, 3},
		{"bytes", uint64s("gadget_bytes", "__u64"), []uint64{1, 2}, 3},
		{"durations", uint64s("my_time", "gadget_duration", "__u64"), []uint64{1, 2}, 3},
		{"ids are not", uint64s("gadget_mntns_id", "__u64"), []uint64{0, 7, 7}, 7},
		{"nor types of that name to come", uint64s("gadget_cgroup_id", "__u64"), []uint64{5, 9}, 5},
		{"nor pointers", uint64s(), []uint64{0, 0xffff888800000000, 1}, 0xffff888800000000},
		{"of moments the latest", uint64s("gadget_timestamp", "__u64"), []uint64{5, 9, 7}, 9},
		{"of an enum any", enum("state"), []uint64{0, 2, 1}, 2},
		{"of a set all bits", enum("state_set"), []uint64{1, 4, 1}, 5},
		{"one CPU", uint64s("__u64"), []uint64{3}, 3},
		{"nothing", uint64s("__u64"), []uint64{0, 0}, 0},
	} {
		var in [][]byte
		for _, v := range c.in {
			in = append(in, u64s(v))
		}
		if got := binary.LittleEndian.Uint64(merge(c.f, in...)); got != c.want {
			t.Errorf("%s: %v: got %d, want %d", c.name, c.in, got, c.want)
		}
	}
}

func TestOtherSizes(t *testing.T) {
	t.Parallel()
	sized := func(f event.Field, size, count uint32) event.Field {
		f.Size, f.Count = size, count
		return f
	}
	number, float := scalar("f", event.Uint, "number"), scalar("f", event.Float, "float")
	bit := sized(number, 1, 0)
	bit.BitSize = 3
	f32 := func(v float32) []byte { return binary.LittleEndian.AppendUint32(nil, math.Float32bits(v)) }
	f64 := func(v float64) []byte { return u64s(math.Float64bits(v)) }
	for _, c := range []struct {
		name string
		f    event.Field
		in   [][]byte
		want []byte
	}{
		{"8 bits", sized(number, 1, 0), [][]byte{{200}, {57}}, []byte{1}},
		{"16 bits", sized(number, 2, 0), [][]byte{{255, 0}, {1, 1}}, []byte{0, 2}},
		{"32 bits", sized(number, 4, 0), [][]byte{{255, 255, 0, 0}, {1, 0, 0, 1}}, []byte{0, 0, 1, 1}},
		{"arrays", sized(number, 6, 3), [][]byte{{1, 0, 2, 0, 255, 255}, {10, 0, 20, 0, 1, 0}}, []byte{11, 0, 22, 0, 0, 0}},
		{"128 bits", sized(number, 16, 0), [][]byte{u64s(0, 0), u64s(1, 2), u64s(3, 4)}, u64s(1, 2)},
		{"float", sized(float, 4, 0), [][]byte{f32(1.5), f32(0), f32(-4)}, f32(-2.5)},
		{"double", float, [][]byte{f64(1.5), f64(0.25)}, f64(1.75)},
		{"bool", sized(scalar("f", event.Bool, "bool"), 1, 0), [][]byte{{0}, {1}, {0}}, []byte{1}},
		{"bits", bit, [][]byte{{1}, {4}}, []byte{5}},
		{"text", sized(scalar("f", event.String, "char"), 4, 0), [][]byte{make([]byte, 4), []byte("cat\x00"), []byte("dogs")}, []byte("cat\x00")},
		{"bytes", sized(scalar("f", event.Bytes, "u8"), 3, 0), [][]byte{{0, 0, 1}, {9, 9, 9}}, []byte{0, 0, 1}},
	} {
		if got := merge(c.f, c.in...); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

// A struct that is one value is not merged member by member, nor is a union; other structs are.
func TestStructs(t *testing.T) {
	t.Parallel()
	s := &event.Schema{Size: 32, Fields: []event.Field{
		{Name: "src", Kind: event.Struct, Types: []string{"gadget_l4endpoint_t"}, Off: 0, Size: 8, Parent: event.NoParent},
		{Name: "src.v4", Kind: event.Uint, Types: []string{"__u32"}, Off: 0, Size: 4, Parent: 0},
		{Name: "src.port", Kind: event.Uint, Types: []string{"__u16"}, Off: 4, Size: 2, Parent: 0},
		{Name: "io", Kind: event.Struct, Types: []string{"io"}, Off: 8, Size: 8, Parent: event.NoParent},
		{Name: "io.reads", Kind: event.Uint, Types: []string{"__u32"}, Off: 8, Size: 4, Parent: 3},
		{Name: "io.writes", Kind: event.Uint, Types: []string{"__u32"}, Off: 12, Size: 4, Parent: 3},
		{Name: "u", Kind: event.Struct, Types: []string{"u"}, Off: 16, Size: 8, Parent: event.NoParent},
		{Name: "u.wide", Kind: event.Uint, Types: []string{"__u64"}, Off: 16, Size: 8, Parent: 6},
		{Name: "u.narrow", Kind: event.Uint, Types: []string{"__u32"}, Off: 20, Size: 4, Parent: 6},
		{Name: "u.other", Kind: event.Uint, Types: []string{"__u32"}, Off: 16, Size: 4, Parent: 6},
		{Name: "low", Kind: event.Uint, Types: []string{"__u8"}, Off: 24, Size: 1, BitSize: 4, Parent: event.NoParent},
		{Name: "high", Kind: event.Uint, Types: []string{"__u8"}, Off: 24, Size: 1, BitOff: 4, BitSize: 4, Parent: event.NoParent},
		{Name: "rest", Kind: event.Bytes, Rest: true, Off: 32, Parent: event.NoParent},
	}}
	added := s.Add(event.Field{Name: "added", Kind: event.Uint, Types: []string{"__u64"}})
	s.Fields[added].Size = 8
	p := percpu.New(s, 0, 32)
	cpu := func(src, io, u, bits uint64) []byte { return u64s(src, io, u, bits) }
	got := make([]byte, 32)
	p.Merge(got, slices.Concat(cpu(0, 0, 0, 0), cpu(0x0050_01020304, 3<<32|1, 9, 0x13), cpu(0x0050_01020304, 1<<32|2, 8, 0x21)))
	if want := cpu(0x0050_01020304, 4<<32|3, 9, 0x33); !slices.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

func TestMergeAllocatesNothing(t *testing.T) {
	f := scalar("f", event.Uint, "__u64")
	s := &event.Schema{Size: 8, Fields: []event.Field{f}}
	p := percpu.New(s, 0, 8)
	dst, values := make([]byte, 8), u64s(1, 0, 2, 3)
	if n := testing.AllocsPerRun(100, func() { p.Merge(dst, values) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkMerge(b *testing.B) {
	s := &event.Schema{Size: 80}
	for i := range uint32(8) {
		f := scalar("f", event.Uint, "__u64")
		f.Off = i * 8
		s.Fields = append(s.Fields, f)
	}
	s.Fields = append(s.Fields, event.Field{Name: "comm", Kind: event.String, Off: 64, Size: 16, Parent: event.NoParent})
	p := percpu.New(s, 0, 80)
	dst, values := make([]byte, 80), slices.Repeat([]byte{1}, 80*4)
	for b.Loop() {
		p.Merge(dst, values)
	}
}
