// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package alternate_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/gizmo-ebpf/gizmo/gadget/internal/alternate"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// load is an instruction that loads the address of the first value of an array map.
func load(dst asm.Register, name string) asm.Instruction {
	return asm.LoadMapValue(dst, 0, 0).WithReference(name)
}

// adding adds n to the maps: to the first in a function of its own, to the others by itself. There is
// a loop in it, so jumps go both ways.
func adding(n int32, maps ...string) asm.Instructions {
	u64 := &btf.Int{Name: "u64", Size: 8}
	proto := func(name string) *btf.Func {
		return &btf.Func{Name: name, Linkage: btf.StaticFunc, Type: &btf.FuncProto{Return: u64, Params: []btf.FuncParam{{Name: "x", Type: u64}}}}
	}
	p := asm.Instructions{
		btf.WithFuncMetadata(asm.Mov.Imm(asm.R6, n).WithSymbol("adding"), proto("adding")),
		asm.Mov.Imm(asm.R1, 1).WithSymbol("again"),
		asm.Call.Label("add_one"),
	}
	for _, name := range maps[1:] {
		p = append(p, load(asm.R1, name), asm.Mov.Imm(asm.R2, 1), asm.StoreXAdd(asm.R1, asm.R2, asm.DWord))
	}
	p = append(p,
		asm.Sub.Imm(asm.R6, 1),
		asm.JNE.Imm(asm.R6, 0, "again"),
		asm.Mov.Imm(asm.R0, 0),
		asm.Return(),
		btf.WithFuncMetadata(load(asm.R2, maps[0]).WithSymbol("add_one"), proto("add_one")),
		asm.StoreXAdd(asm.R2, asm.R1, asm.DWord),
		asm.Mov.Imm(asm.R0, 0),
		asm.Return(),
	)
	for i := range p {
		p[i] = p[i].WithSource(asm.Comment(fmt.Sprint("line ", i)))
	}
	return p
}

func mapsOf(name string) alternate.Maps {
	return alternate.Maps{First: name, Second: name + ".2", Selector: name + ".choice"}
}

func double(t *testing.T, p asm.Instructions, names ...string) asm.Instructions {
	t.Helper()
	for _, name := range names {
		var err error
		if p, err = alternate.Rewrite(p, mapsOf(name)); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// rig is a program in the kernel with its maps.
type rig struct {
	prog *ebpf.Program
	maps map[string]*ebpf.Map
}

func newRig(t *testing.T, p asm.Instructions, names ...string) *rig {
	t.Helper()
	kerneltest.RequireRoot(t)
	r := &rig{maps: make(map[string]*ebpf.Map)}
	for _, name := range names {
		for _, spec := range []*ebpf.MapSpec{
			{Name: name, Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1},
			{Name: name + ".2", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1},
			alternate.SelectorSpec(name + ".choice"),
		} {
			m, err := ebpf.NewMap(spec)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { m.Close() })
			r.maps[spec.Name] = m
			if err := p.AssociateMap(spec.Name, m); err != nil && !errors.Is(err, asm.ErrUnreferencedSymbol) {
				t.Fatal(err)
			}
		}
	}
	var err error
	if r.prog, err = ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SocketFilter, Instructions: p, License: "GPL"}); err != nil {
		t.Fatalf("%+v\n%v", err, p)
	}
	t.Cleanup(func() { r.prog.Close() })
	return r
}

// choose makes the program use the first or the second map in place of the named one.
func (r *rig) choose(t *testing.T, name string, which uint32) {
	t.Helper()
	if err := r.maps[name+".choice"].Put(uint32(0), which); err != nil {
		t.Fatal(err)
	}
}

// take returns the values of the maps, and sets them to 0.
func (r *rig) take(t *testing.T, names ...string) []uint64 {
	t.Helper()
	var got []uint64
	for _, name := range names {
		var n uint64
		if err := errors.Join(r.maps[name].Lookup(uint32(0), &n), r.maps[name].Put(uint32(0), uint64(0))); err != nil {
			t.Fatal(err)
		}
		got = append(got, n)
	}
	return got
}

func (r *rig) run(t *testing.T) {
	t.Helper()
	if _, err := r.prog.Run(&ebpf.RunOptions{Data: make([]byte, 14)}); err != nil {
		t.Fatal(err)
	}
}

func TestProgramUsesTheMapThatIsChosen(t *testing.T) {
	t.Parallel()
	original := adding(3, "a", "b")
	before := slices.Clone(original)
	r := newRig(t, double(t, original, "a", "b"), "a", "b")
	for _, c := range []struct {
		a, b uint32
		want []uint64
	}{
		{0, 0, []uint64{3, 0, 3, 0}},
		{1, 0, []uint64{0, 3, 3, 0}},
		{0, 1, []uint64{3, 0, 0, 3}},
		{1, 1, []uint64{0, 3, 0, 3}},
		{7, math.MaxUint32, []uint64{0, 3, 0, 3}},
	} {
		r.choose(t, "a", c.a)
		r.choose(t, "b", c.b)
		r.run(t)
		if got := r.take(t, "a", "a.2", "b", "b.2"); !slices.Equal(got, c.want) {
			t.Errorf("choice %d, %d: got %v, want %v", c.a, c.b, got, c.want)
		}
	}
	if fmt.Sprint(original) != fmt.Sprint(before) {
		t.Error("the original has changed")
	}
}

func TestOtherMapsStay(t *testing.T) {
	t.Parallel()
	r := newRig(t, double(t, adding(2, "a", "b", "a"), "a"), "a", "b")
	for which, want := range [][]uint64{{4, 0, 2}, {0, 4, 2}} {
		r.choose(t, "a", uint32(which))
		r.run(t)
		if got := r.take(t, "a", "a.2", "b"); !slices.Equal(got, want) {
			t.Errorf("choice %d: got %v, want %v", which, got, want)
		}
	}
}

func TestSwitch(t *testing.T) {
	t.Parallel()
	r := newRig(t, double(t, adding(1, "a"), "a"), "a")
	barrier, err := alternate.NewBarrier()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := barrier.Close(); err != nil {
			t.Error(err)
		}
	}()
	choice := alternate.NewSelector(r.maps["a.choice"], barrier)
	for i := range 4 {
		if choice.Now() != i%2 {
			t.Errorf("turn %d: now %d", i, choice.Now())
		}
		r.run(t)
		unused, err := choice.Switch()
		if err != nil || unused != i%2 {
			t.Fatalf("turn %d: got %d, %v", i, unused, err)
		}
		if got := r.take(t, []string{"a", "a.2"}[unused]); got[0] != 1 {
			t.Errorf("turn %d: the unused map has %d", i, got[0])
		}
	}
}

func TestUses(t *testing.T) {
	t.Parallel()
	p := adding(1, "a", "b")
	for name, want := range map[string]bool{"a": true, "b": true, "add_one": false, "": false, "a.2": false} {
		if got := alternate.Uses(p, name); got != want {
			t.Errorf("%q: got %v", name, got)
		}
	}
	if p = double(t, p, "a"); !alternate.Uses(p, "a") || !alternate.Uses(p, "a.2") || !alternate.Uses(p, "a.choice") {
		t.Error("a rewritten program uses both maps and the selector")
	}
}

func TestWhatCannotBeRewrited(t *testing.T) {
	t.Parallel()
	if _, err := alternate.Rewrite(nil, mapsOf("a")); err == nil {
		t.Error("nothing was rewritten")
	}
	long := func(n int) asm.Instructions {
		p := asm.Instructions{load(asm.R1, "a")} // counts twice
		for range n - 3 {
			p = append(p, asm.Mov.Imm(asm.R0, 0))
		}
		return append(p, asm.Return())
	}
	if _, err := alternate.Rewrite(long(math.MaxInt16+1), mapsOf("a")); !errors.Is(err, alternate.ErrTooLong) {
		t.Errorf("got %v", err)
	}
	r := newRig(t, double(t, long(math.MaxInt16), "a"), "a")
	r.choose(t, "a", 1)
	r.run(t) // the longest jump there is
}
