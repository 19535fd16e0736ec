// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package usdt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"

	"github.com/gizmo-ebpf/gizmo/internal/elffile/elftest"
)

var (
	u64   = &btf.Int{Name: "__u64", Size: 8}
	u16   = &btf.Int{Name: "__u16", Size: 2}
	short = &btf.Int{Name: "short", Size: 2, Encoding: btf.Signed}
	flag  = &btf.Int{Name: "_Bool", Size: 1, Encoding: btf.Bool}
	char  = &btf.Int{Name: "char", Size: 1}
	kind  = &btf.Enum{Name: "__bpf_usdt_arg_type", Size: 4}
)

// argType is that of libbpf 1.1.
func argType() *btf.Struct {
	return &btf.Struct{Name: "__bpf_usdt_arg_spec", Size: 16, Members: []btf.Member{
		{Name: "val_off", Type: u64},
		{Name: "arg_type", Type: kind, Offset: 64},
		{Name: "reg_off", Type: short, Offset: 96},
		{Name: "arg_signed", Type: flag, Offset: 112},
		{Name: "arg_bitshift", Type: char, Offset: 120},
	}}
}

// newArgType is that of libbpf 1.7, of which clang makes 24 bytes.
func newArgType() *btf.Struct {
	return &btf.Struct{Name: "__bpf_usdt_arg_spec", Size: 24, Members: []btf.Member{
		{Name: "val_off", Type: u64},
		{Name: "arg_type", Type: kind, Offset: 64, BitfieldSize: 8},
		{Name: "idx_reg_off", Type: u16, Offset: 80, BitfieldSize: 12},
		{Name: "scale_bitshift", Type: u16, Offset: 92, BitfieldSize: 4},
		{Name: "reg_off", Type: short, Offset: 112},
		{Name: "arg_signed", Type: flag, Offset: 128},
		{Name: "arg_bitshift", Type: char, Offset: 136},
	}}
}

func specType(arg *btf.Struct) *btf.Struct {
	args := arg.Size * MaxArgs
	return &btf.Struct{Name: "__bpf_usdt_spec", Size: args + 16, Members: []btf.Member{
		{Name: "args", Type: &btf.Array{Type: arg, Nelems: MaxArgs}},
		{Name: "usdt_cookie", Type: u64, Offset: btf.Bits(args * 8)},
		{Name: "arg_cnt", Type: short, Offset: btf.Bits(args*8 + 64)},
	}}
}

func TestEncode(t *testing.T) {
	t.Parallel()
	l, err := LayoutOf(&btf.Typedef{Name: "spec", Type: specType(argType())})
	if err != nil {
		t.Fatal(err)
	}
	why := errors.New("why")
	got, missing := l.Encode(&Args{Count: 4, First: []Arg{
		{Kind: Const, Size: 4, Signed: true, Value: -9},
		{Kind: Unreadable, Size: 8, Why: why},
		{Kind: Reg, Size: 1, Reg: 81},
		{Kind: Memory, Size: 8, Reg: 152, Value: -8},
	}})
	if len(missing) != 1 || missing[0] != why {
		t.Error(missing)
	}
	want := elftest.Pack(
		int64(-9), int32(0), int16(0), int8(1), int8(32),
		int64(0), int32(255), int16(0), int8(0), int8(0),
		int64(0), int32(1), int16(81), int8(0), int8(56),
		int64(-8), int32(2), int16(152), int8(0), int8(0),
		make([]byte, 8*16), uint64(0), int16(4), make([]byte, 6))
	if !bytes.Equal(got, want) {
		t.Errorf("\n got %x\nwant %x", got, want)
	}
}

func TestEncodeIndexed(t *testing.T) {
	t.Parallel()
	arg := Arg{Kind: Indexed, Size: 2, Signed: true, Reg: 80, Index: 152, Shift: 3, Value: 0x55}
	old, err := LayoutOf(specType(argType()))
	if err != nil {
		t.Fatal(err)
	}
	got, missing := old.Encode(&Args{Count: 1, First: []Arg{arg}})
	if len(missing) != 1 || !strings.Contains(missing[0].Error(), "argument 1") || !strings.Contains(missing[0].Error(), "libbpf 1.7") {
		t.Errorf("with an old header: %v", missing)
	}
	want := elftest.Pack(int64(0), int32(255), int16(0), int8(0), int8(48))
	if !bytes.Equal(got[:len(want)], want) {
		t.Errorf("with an old header:\n got %x\nwant %x", got[:len(want)], want)
	}
	l, err := LayoutOf(specType(newArgType()))
	if err != nil {
		t.Fatal(err)
	}
	if got, missing = l.Encode(&Args{Count: 1, First: []Arg{arg}}); len(missing) > 0 {
		t.Error(missing)
	}
	want = elftest.Pack(int64(0x55), uint8(3), uint8(0), uint16(152|3<<12), int16(0), int16(80), int8(1), int8(48))
	if !bytes.Equal(got[:len(want)], want) {
		t.Errorf("\n got %x\nwant %x", got[:len(want)], want)
	}
}

// The kind and the size that an argument has none of fit where newer headers have them.
func TestEncodeUnreadable(t *testing.T) {
	t.Parallel()
	l, err := LayoutOf(specType(newArgType()))
	if err != nil {
		t.Fatal(err)
	}
	got, _ := l.Encode(&Args{Count: 1, First: []Arg{{Kind: Unreadable, Why: errForm}}})
	want := elftest.Pack(int64(0), uint8(255), uint8(0), uint16(0), int16(0), int16(0), int8(0), int8(64))
	if !bytes.Equal(got[:len(want)], want) {
		t.Errorf("\n got %x\nwant %x", got[:len(want)], want)
	}
}

// A program learns how many arguments there are, and that it cannot read all of them.
func TestTooManyArgs(t *testing.T) {
	t.Parallel()
	l, err := LayoutOf(specType(argType()))
	if err != nil {
		t.Fatal(err)
	}
	got, missing := l.Encode(&Args{Count: 300, First: make([]Arg, MaxArgs)})
	if len(missing) != 1 || !strings.Contains(missing[0].Error(), "300 arguments") {
		t.Error(missing)
	}
	if n := binary.LittleEndian.Uint16(got[MaxArgs*16+8:]); n != 300 {
		t.Errorf("the program sees %d", n)
	}
	short := specType(argType())
	short.Members[0].Type.(*btf.Array).Nelems = 2
	if l, err = LayoutOf(short); err != nil {
		t.Fatal(err)
	}
	got, missing = l.Encode(&Args{Count: 3, First: []Arg{{Size: 8}, {Size: 8}, {Size: 8, Value: 1}}})
	if len(missing) != 1 || bytes.Contains(got[:MaxArgs*16], []byte{1}) {
		t.Errorf("%v, %x", missing, got)
	}
}

func TestOtherLayouts(t *testing.T) {
	t.Parallel()
	changed := func(change func(spec, arg *btf.Struct)) btf.Type {
		arg := argType()
		spec := specType(arg)
		change(spec, arg)
		return spec
	}
	for name, typ := range map[string]btf.Type{
		"none":          nil,
		"no struct":     u64,
		"huge":          changed(func(spec, _ *btf.Struct) { spec.Size = math.MaxUint32 }),
		"no args":       changed(func(spec, _ *btf.Struct) { spec.Members = spec.Members[1:] }),
		"no array":      changed(func(spec, _ *btf.Struct) { spec.Members[0].Type = u64 }),
		"no structs":    changed(func(spec, _ *btf.Struct) { spec.Members[0].Type = &btf.Array{Type: u64, Nelems: 2} }),
		"long array":    changed(func(spec, arg *btf.Struct) { spec.Members[0].Type = &btf.Array{Type: arg, Nelems: math.MaxUint32} }),
		"no count":      changed(func(spec, _ *btf.Struct) { spec.Members[2].Name = "" }),
		"no register":   changed(func(_, arg *btf.Struct) { arg.Members[2].Name = "" }),
		"far away":      changed(func(_, arg *btf.Struct) { arg.Members[2].Offset = math.MaxUint32 }),
		"a large field": changed(func(_, arg *btf.Struct) { arg.Members[2].Type = &btf.Array{Type: u64, Nelems: 2} }),
	} {
		if _, err := LayoutOf(typ); err == nil || !strings.Contains(err.Error(), "<bpf/usdt.bpf.h>") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
