// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package btfschema_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"

	"github.com/gizmo-ebpf/gizmo/btfschema"
	"github.com/gizmo-ebpf/gizmo/event"
)

var (
	u8   = &btf.Int{Name: "unsigned char", Size: 1}
	char = &btf.Int{Name: "char", Size: 1, Encoding: btf.Signed}
	u16  = &btf.Int{Name: "unsigned short", Size: 2}
	u32  = &btf.Int{Name: "unsigned int", Size: 4}
	i64  = &btf.Int{Name: "long", Size: 8, Encoding: btf.Signed}
	flag = &btf.Int{Name: "_Bool", Size: 1, Encoding: btf.Bool}
	u128 = &btf.Int{Name: "unsigned __int128", Size: 16}
)

func typedef(name string, t btf.Type) btf.Type { return &btf.Typedef{Name: name, Type: t} }

// layout makes a struct of the members in a row, each aligned to nothing.
func layout(name string, members ...btf.Member) *btf.Struct {
	s := &btf.Struct{Name: name}
	for _, m := range members {
		m.Offset = btf.Bits(s.Size * 8)
		size, _ := btf.Sizeof(m.Type)
		s.Size += uint32(size)
		s.Members = append(s.Members, m)
	}
	return s
}

// describe renders a schema for comparison.
func describe(s *event.Schema) string {
	var b strings.Builder
	for i, f := range s.Fields {
		fmt.Fprintf(&b, "%d %s %s @%d+%d", i, f.Name, f.Kind, f.Off, f.Size)
		if f.Count > 0 {
			fmt.Fprintf(&b, " x%d", f.Count)
		}
		if f.BitSize > 0 {
			fmt.Fprintf(&b, " bits %d+%d", f.BitOff, f.BitSize)
		}
		if f.Parent != event.NoParent {
			fmt.Fprintf(&b, " in %d", f.Parent)
		}
		if f.Enum != nil {
			fmt.Fprintf(&b, " enum %s", f.Enum.Name)
		}
		fmt.Fprintf(&b, " %s\n", strings.Join(f.Types, ","))
	}
	return b.String()
}

func TestNew(t *testing.T) {
	t.Parallel()
	inner := layout("inner", btf.Member{Name: "a", Type: u16}, btf.Member{Name: "__pad", Type: u16}, btf.Member{Name: "b", Type: u32})
	color := &btf.Enum{Name: "color", Size: 4, Values: []btf.EnumValue{{Name: "RED", Value: 1}}}
	record := layout("record",
		btf.Member{Name: "pid", Type: typedef("gadget_pid", typedef("__u32", u32))},
		btf.Member{Name: "off", Type: &btf.Const{Type: i64}},
		btf.Member{Name: "ok", Type: flag},
		btf.Member{Name: "big", Type: u128},
		btf.Member{Name: "ratio", Type: &btf.Float{Name: "double", Size: 8}},
		btf.Member{Name: "comm", Type: &btf.Array{Type: typedef("gadget_comm", char), Nelems: 16}},
		btf.Member{Name: "mac", Type: &btf.Array{Type: u8, Nelems: 6}},
		btf.Member{Name: "slots", Type: &btf.Array{Type: u32, Nelems: 3}},
		btf.Member{Name: "grid", Type: &btf.Array{Type: &btf.Array{Type: u32, Nelems: 2}, Nelems: 2}},
		btf.Member{Name: "in", Type: inner},
		btf.Member{Name: "", Type: &btf.Union{Size: 4, Members: []btf.Member{{Name: "v4", Type: u32}, {Name: "old", Type: typedef("__gadget_alias_u32", u32)}, {Name: "low", Type: u16}}}},
		btf.Member{Name: "__hidden", Type: u32},
		btf.Member{Name: "color_raw", Type: color},
		btf.Member{Name: "ptr", Type: &btf.Pointer{Target: u32}},
		btf.Member{Name: "rest", Type: &btf.Array{Type: char, Nelems: 0}},
	)
	s, err := btfschema.New("test", true, record)
	if err != nil {
		t.Fatal(err)
	}
	const want = `0 pid uint @0+4 gadget_pid,__u32,unsigned int
1 off int @4+8 long
2 ok bool @12+1 _Bool
3 big uint @13+16 unsigned __int128
4 ratio float @29+8 double
5 comm string @37+16 gadget_comm,char
6 mac bytes @53+6 unsigned char
7 slots uint @59+12 x3 unsigned int
8 grid bytes @71+16 
9 in struct @87+8 inner
10 in.a uint @87+2 in 9 unsigned short
11 in.b uint @91+4 in 9 unsigned int
12 v4 uint @95+4 unsigned int
13 low uint @95+2 unsigned short
14 color_raw uint @103+4 enum color color
15 ptr uint @107+8 
`
	if got := describe(s); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if s.Size != record.Size || !s.Single || s.Name != "test" {
		t.Errorf("size %d, want %d", s.Size, record.Size)
	}
}

func TestNewPlacesBitFields(t *testing.T) {
	t.Parallel()
	s, err := btfschema.New("test", true, &btf.Struct{Name: "bits", Size: 4, Members: []btf.Member{
		{Name: "low", Type: u32, Offset: 0, BitfieldSize: 3},
		{Name: "across", Type: u32, Offset: 3, BitfieldSize: 10},
		{Name: "", Type: u32, Offset: 13, BitfieldSize: 3},
		{Name: "high", Type: u32, Offset: 16, BitfieldSize: 16},
	}})
	if err != nil {
		t.Fatal(err)
	}
	const want = `0 low uint @0+1 bits 0+3 unsigned int
1 across uint @0+2 bits 3+10 unsigned int
2 high uint @2+2 bits 0+16 unsigned int
`
	if got := describe(s); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestNewJoinsKeyAndValue(t *testing.T) {
	t.Parallel()
	key := layout("key", btf.Member{Name: "pid", Type: u32})
	value := layout("value", btf.Member{Name: "reads", Type: i64})
	s, err := btfschema.New("test", false, typedef("key_t", key), value)
	if err != nil {
		t.Fatal(err)
	}
	if want := "0 pid uint @0+4 unsigned int\n1 reads int @4+8 long\n"; describe(s) != want || s.Size != 12 || s.Single {
		t.Errorf("got %d bytes\n%s", s.Size, describe(s))
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	loop := &btf.Struct{Name: "loop", Size: 8}
	loop.Members = []btf.Member{{Name: "self", Type: loop}}
	for name, c := range map[string]struct {
		record btf.Type
		want   string
	}{
		"no struct":  {u32, "is not a struct or union"},
		"empty":      {&btf.Struct{Name: "empty"}, "has 0 bytes"},
		"huge":       {&btf.Struct{Name: "huge", Size: 1 << 30}, "record has from 1 to"},
		"endless":    {loop, "nested more than"},
		"outside":    {&btf.Struct{Name: "s", Size: 4, Members: []btf.Member{{Name: "x", Type: i64}}}, "outside of its struct"},
		"twice":      {layout("s", btf.Member{Name: "x", Type: u32}, btf.Member{Name: "x", Type: u32}), `two fields have the name "x"`},
		"wide bits":  {&btf.Struct{Name: "s", Size: 16, Members: []btf.Member{{Name: "x", Type: u128, BitfieldSize: 100}}}, "cannot be read"},
		"field size": {&btf.Struct{Name: "s", Size: 4, Members: []btf.Member{{Name: "x", Type: &btf.Array{Type: i64, Nelems: 1 << 28}}}}, "too large"},
	} {
		_, err := btfschema.New("test", true, c.record)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got error %v, want %q", name, err, c.want)
		}
	}
}
