// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package stacks

import (
	"maps"
	"reflect"
	"runtime"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/gizmo-ebpf/gizmo/internal/bpfcode"
)

func loadMap(reg asm.Register, name string) asm.Instruction {
	return asm.LoadMapPtr(reg, 0).WithReference(name)
}

// named makes a function of the instructions.
func named(name string, code ...asm.Instruction) asm.Instructions {
	code[0] = code[0].WithSymbol(name)
	return code
}

// program takes a stack in its main function and in another one.
func program() asm.Instructions {
	return slices.Concat(
		named("main", loadMap(asm.R2, "stacks"), asm.FnGetStackid.Call(), asm.FnKtimeGetNs.Call(), asm.Return()),
		named("other", asm.FnGetStackid.Call(), asm.Return()))
}

func object(code asm.Instructions) *ebpf.CollectionSpec {
	return &ebpf.CollectionSpec{
		Maps: map[string]*ebpf.MapSpec{
			"stacks": {Type: ebpf.StackTrace, MaxEntries: 100},
			"hash":   {Type: ebpf.Hash, MaxEntries: 100},
		},
		Programs: map[string]*ebpf.ProgramSpec{"p": {Instructions: code}},
	}
}

func options() *Options {
	return &Options{RingSize: 4096, Taken: true, Keep: func(string) bool { return false }}
}

func link(t *testing.T, spec *ebpf.CollectionSpec, o *Options) *Linked {
	t.Helper()
	l, err := Link(spec, o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLink(t *testing.T) {
	t.Parallel()
	for _, samples := range []bool{false, true} {
		spec, o := object(program()), options()
		o.Samples = samples
		before := spec.Copy()
		l, err := Link(spec, o)
		if err != nil {
			if samples && runtime.GOARCH != "amd64" {
				t.Skip(err)
			}
			t.Fatal(err)
		}
		code := spec.Programs["p"].Instructions
		if !l.Own || len(callsOf(code)) > 0 {
			t.Errorf("samples %v: linked %v, %d calls are left", samples, l.Own, len(callsOf(code)))
		}
		want := functionID
		if samples {
			want = functionSample
		}
		for _, i := range []int{1, 4} {
			if !code[i].IsFunctionCall() || code[i].Reference() != want {
				t.Errorf("instruction %d is %v", i, code[i])
			}
		}
		for i := range code {
			if name := code[i].Reference(); code[i].IsLoadFromMap() && spec.Maps[name] == nil {
				t.Errorf("there is no map %s", name)
			}
		}
		if _, _, ok := bpfcode.Function(code, functionID); !ok || spec.Maps["stacks"].MaxEntries != 1 || spec.Maps["hash"].MaxEntries != 100 {
			t.Error("the function is missing, or the maps have the wrong sizes")
		}
		if l.Undo(); l.Own || !reflect.DeepEqual(spec.Maps, before.Maps) || !reflect.DeepEqual(spec.Programs["p"].Instructions, before.Programs["p"].Instructions) {
			t.Error("the object is not as before")
		}
	}
}

// Programs that never take a stack stay as they are.
func TestLinkNothing(t *testing.T) {
	t.Parallel()
	spec, o := object(program()), options()
	o.Taken = Taken(spec, func(string) map[int]bool { return map[int]bool{0: true, 2: true, 3: true} })
	if l := link(t, spec, o); l.Own || len(spec.Maps) != 2 || !reflect.DeepEqual(spec.Programs["p"].Instructions, program()) {
		t.Error("the object was changed")
	}
	if spec.Maps["stacks"].MaxEntries != 1 {
		t.Error("the map for stacks, which is not used, is large")
	}
	if !Taken(spec, func(string) map[int]bool { return map[int]bool{4: true} }) {
		t.Error("a call in a function is not seen")
	}
}

// Objects that use their stacks otherwise keep the kernel's.
func TestKeep(t *testing.T) {
	t.Parallel()
	reads := append(named("main", loadMap(asm.R6, "stacks"), asm.Mov.Reg(asm.R2, asm.R6), asm.FnGetStackid.Call(),
		asm.Mov.Reg(asm.R1, asm.R6), asm.FnMapLookupElem.Call()), asm.Return())
	for name, change := range map[string]func(*ebpf.CollectionSpec, *Options){
		"looked up": func(s *ebpf.CollectionSpec, _ *Options) { s.Programs["q"] = &ebpf.ProgramSpec{Instructions: reads} },
		"build ids": func(s *ebpf.CollectionSpec, _ *Options) { s.Maps["stacks"].Flags = flagBuildID },
		"pinned":    func(s *ebpf.CollectionSpec, _ *Options) { s.Maps["stacks"].Pinning = ebpf.PinByName },
		"read":      func(_ *ebpf.CollectionSpec, o *Options) { o.Keep = func(name string) bool { return name == "stacks" } },
		"in a map":  func(s *ebpf.CollectionSpec, _ *Options) { s.Maps["hash"].InnerMap = s.Maps["stacks"] },
		"none":      func(s *ebpf.CollectionSpec, _ *Options) { delete(s.Maps, "stacks") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec, o := object(program()), options()
			change(spec, o)
			names := slices.Sorted(maps.Keys(spec.Maps))
			l := link(t, spec, o)
			if l.Own || len(callsOf(spec.Programs["p"].Instructions)) != 2 || !slices.Equal(slices.Sorted(maps.Keys(spec.Maps)), names) {
				t.Error("the object was changed")
			}
			if m := spec.Maps["stacks"]; m != nil && m.MaxEntries != 100 {
				t.Error("the map for stacks is smaller")
			}
		})
	}
}

// The kernel wants types and lines of all functions of a program, or of none.
func TestDescribe(t *testing.T) {
	t.Parallel()
	functions := functionsFor(options())
	plain := describe(functions, program())[functionID]
	if btf.FuncMetadata(&plain[0]) != nil || plain[0].Source() != nil || plain[0].Symbol() != functionID {
		t.Errorf("the function has types or lines: %v", plain[0])
	}
	code := program()
	code[0] = btf.WithFuncMetadata(code[0], &btf.Func{Name: "main"}).WithSource(asm.Comment("a line"))
	full := describe(functions, code)[functionID]
	if f := btf.FuncMetadata(&full[0]); f == nil || f.Linkage != btf.StaticFunc || full[0].Source() == nil {
		t.Errorf("the function lacks types or lines: %v", full[0])
	}
	if btf.FuncMetadata(&functions[functionID][0]) != nil {
		t.Error("the original was changed")
	}
}
