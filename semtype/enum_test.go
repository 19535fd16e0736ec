// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package semtype

import (
	"math/rand/v2"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
)

func denseEnum() *event.Enum {
	return &event.Enum{Name: "color", Values: []event.EnumValue{
		{Name: "RED", Value: 1}, {Name: "GREEN", Value: 2}, {Name: "BLUE", Value: 4}, {Name: "VERT", Value: 2},
	}}
}

func sparseEnum() *event.Enum {
	return &event.Enum{Name: "family", Values: []event.EnumValue{
		{Name: "LAST", Value: 0xffffffff}, {Name: "MIDDLE", Value: 0x10000}, {Name: "FIRST", Value: 3},
		{Name: "AGAIN", Value: 0x10000},
	}}
}

func setEnum() *event.Enum {
	return &event.Enum{Name: "flags_set", Values: []event.EnumValue{
		{Name: "FOO", Value: 1}, {Name: "BAR", Value: 2}, {Name: "QUX", Value: 0x10},
		{Name: "BAZ", Value: 2}, {Name: "FOOQUX", Value: 0x11}, {Name: "MORE", Value: 0xc1},
	}}
}

func signedEnum() *event.Enum {
	minus := func(v int64) uint64 { return uint64(v) }
	return &event.Enum{Name: "result", Signed: true, Values: []event.EnumValue{
		{Name: "OK", Value: 0}, {Name: "AGAIN", Value: minus(-1)}, {Name: "BAD", Value: 0xfffffffe}, // -2 in 4 bytes
	}}
}

// enumMember is a member v_raw of an enum type.
func enumMember(e *event.Enum, size uint32, bitOff, bitSize uint8) event.Field {
	f := scalar("v_raw", e.Name, event.Uint, size)
	f.Enum, f.BitOff, f.BitSize = e, bitOff, bitSize
	return f
}

func TestEnum(t *testing.T) {
	t.Parallel()
	wide := &event.Enum{Name: "wide", Values: []event.EnumValue{
		{Name: "A", Value: 0}, {Name: "Z", Value: 1<<64 - 1}, {Name: "Y", Value: 1 << 63},
	}}
	zero := &event.Enum{Name: "state_set", Values: []event.EnumValue{{Name: "NONE", Value: 0}, {Name: "ON", Value: 1}}}
	empty := &event.Enum{Name: "empty"}
	for _, tt := range []struct {
		name  string
		field event.Field
		value uint64
		want  string
	}{
		{"name", enumMember(denseEnum(), 4, 0, 0), 1, "RED"},
		{"first of two names", enumMember(denseEnum(), 4, 0, 0), 2, "GREEN"},
		{"hole", enumMember(denseEnum(), 4, 0, 0), 3, "3"},
		{"below", enumMember(denseEnum(), 4, 0, 0), 0, "0"},
		{"above", enumMember(denseEnum(), 4, 0, 0), 5, "5"},
		{"greatest", enumMember(denseEnum(), 4, 0, 0), 0xffffffff, "4294967295"},
		{"one byte", enumMember(denseEnum(), 1, 0, 0), 4, "BLUE"},
		{"sparse", enumMember(sparseEnum(), 4, 0, 0), 3, "FIRST"},
		{"sparse, first of two", enumMember(sparseEnum(), 4, 0, 0), 0x10000, "MIDDLE"},
		{"sparse, last", enumMember(sparseEnum(), 4, 0, 0), 0xffffffff, "LAST"},
		{"sparse, hole", enumMember(sparseEnum(), 4, 0, 0), 0xfffffffe, "4294967294"},
		{"sparse, below", enumMember(sparseEnum(), 4, 0, 0), 2, "2"},
		{"too wide a value for the member", enumMember(sparseEnum(), 1, 0, 0), 0, "0"},
		{"eight bytes", enumMember(wide, 8, 0, 0), 1<<64 - 1, "Z"},
		{"eight bytes, middle", enumMember(wide, 8, 0, 0), 1 << 63, "Y"},
		{"eight bytes, hole", enumMember(wide, 8, 0, 0), 1<<63 + 1, "9223372036854775809"},
		{"signed", enumMember(signedEnum(), 4, 0, 0), 0xffffffff, "AGAIN"},
		{"signed, not extended", enumMember(signedEnum(), 4, 0, 0), 0xfffffffe, "BAD"},
		{"signed, zero", enumMember(signedEnum(), 4, 0, 0), 0, "OK"},
		{"signed, no name", enumMember(signedEnum(), 4, 0, 0), 0xfffffffd, "-3"},
		{"bit field", enumMember(denseEnum(), 4, 3, 3), 0b_100_111, "BLUE"},
		{"signed bit field", enumMember(signedEnum(), 4, 3, 3), 0b_111_010, "AGAIN"},
		{"no names", enumMember(empty, 4, 0, 0), 7, "7"},
		{"set", enumMember(setEnum(), 4, 0, 0), 3, "FOO|BAR"},
		{"set, one", enumMember(setEnum(), 4, 0, 0), 2, "BAR"},
		{"set, several bits", enumMember(setEnum(), 4, 0, 0), 0x13, "FOOQUX|BAR"},
		{"set, overlap", enumMember(setEnum(), 4, 0, 0), 0xd1, "MORE|FOOQUX"},
		{"set, half of several bits", enumMember(setEnum(), 4, 0, 0), 0x41, "FOO|0x40"},
		{"set, rest", enumMember(setEnum(), 4, 0, 0), 0x80000022, "BAR|0x80000020"},
		{"set, only rest", enumMember(setEnum(), 4, 0, 0), 0x20, "0x20"},
		{"set, nothing", enumMember(setEnum(), 4, 0, 0), 0, ""},
		{"set, name for nothing", enumMember(zero, 4, 0, 0), 0, "NONE"},
		{"set, no name for nothing", enumMember(zero, 4, 0, 0), 1, "ON"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := layout(tt.field)
			apply(t, s, testEnv(), annotations{})
			if got := text(t, s, "v", le(tt.value, tt.field.Size)); got != tt.want {
				t.Errorf("%#x reads %q, want %q", tt.value, got, tt.want)
			}
		})
	}
}

func TestEnumSeparator(t *testing.T) {
	t.Parallel()
	s := layout(enumMember(setEnum(), 4, 0, 0))
	apply(t, s, testEnv(), annotations{fields: map[string]func(*event.Annotations){
		"v_raw": func(a *event.Annotations) { a.Separator = ", " },
	}})
	if got := text(t, s, "v", le(0x23, 4)); got != "FOO, BAR, 0x20" {
		t.Errorf("got %q", got)
	}
}

// TestEnumAgainstScan compares the lookup with a plain search of enums of all shapes.
func TestEnumAgainstScan(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		e := randomEnum(random)
		names := newEnumNames(e, 64)
		for range 50 {
			v := random.Uint64() >> random.UintN(64)
			if len(e.Values) > 0 && random.IntN(2) == 0 {
				v = e.Values[random.IntN(len(e.Values))].Value + random.Uint64N(3) - 1
			}
			if got, want := names.find(v), scan(e, v); got != want {
				t.Fatalf("%d in %+v is %q, want %q", v, e, got, want)
			}
		}
	}
}

func randomEnum(random *rand.Rand) *event.Enum {
	e := &event.Enum{Signed: random.IntN(2) == 0}
	spread := random.UintN(64)
	for i := range random.IntN(20) {
		e.Values = append(e.Values, event.EnumValue{Name: string(rune('A' + i)), Value: random.Uint64() >> spread})
	}
	return e
}

func scan(e *event.Enum, v uint64) string {
	for _, x := range e.Values {
		if x.Value == v {
			return x.Name
		}
	}
	return ""
}
