// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package stacks

import (
	"errors"
	"maps"
	"runtime"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/gizmo-ebpf/gizmo/internal/bpfcode"
)

// Options say how stacks get from programs to gizmo.
type Options struct {
	// RingSize is the size in bytes of the ring buffer for new stacks: a power of two, and whole pages.
	RingSize uint32
	// Samples makes programs send registers and bytes of user stacks.
	Samples bool
	// Keep says for maps with stacks that something else than calls of bpf_get_stackid uses them.
	Keep func(name string) bool
	// Taken is what Taken returns.
	Taken bool
}

// BuildIDsMap is the map of <gadget/user_stack_map.h> with the build ids of stacks.
const BuildIDsMap = "ig_build_id"

// flagBuildID is BPF_F_STACK_BUILD_ID: the map has build ids, which bpf_get_stackid puts there.
const flagBuildID = 1 << 5

// errNoSamples is about machines whose registers gizmo does not know.
var errNoSamples = errors.New("the registers and stacks of processes, from which stacks without frame pointers are unwound, are available on x86-64 only")

// Linked is what Link has changed in an object.
type Linked struct {
	// Own says that programs use gizmo's table. Otherwise there is none.
	Own bool

	spec    *ebpf.CollectionSpec
	code    map[string]asm.Instructions // before
	entries map[string]uint32           // before
	added   []string
}

// Undo restores the object.
func (l *Linked) Undo() {
	for name, code := range l.code {
		l.spec.Programs[name].Instructions = code
	}
	for name, n := range l.entries {
		l.spec.Maps[name].MaxEntries = n
	}
	for _, name := range l.added {
		delete(l.spec.Maps, name)
	}
	l.Own = false
}

// Taken reports whether programs of an object call bpf_get_stackid. reach returns the instructions of a program that are reachable.
func Taken(spec *ebpf.CollectionSpec, reach func(program string) map[int]bool) bool {
	for name, p := range spec.Programs {
		calls := callsOf(p.Instructions)
		if len(calls) == 0 {
			continue
		}
		reached := reach(name)
		if slices.ContainsFunc(calls, func(i int) bool { return reached[i] }) {
			return true
		}
	}
	return false
}

// Link replaces the calls of bpf_get_stackid in an object by calls of gizmo's function, and makes the object's own maps for stacks as
// small as possible. It leaves an object alone whose programs read these maps.
func Link(spec *ebpf.CollectionSpec, o *Options) (*Linked, error) {
	l := &Linked{spec: spec, code: make(map[string]asm.Instructions), entries: make(map[string]uint32)}
	if !replaceable(spec, o.Keep) {
		return l, nil
	}
	if o.Samples && runtime.GOARCH != "amd64" {
		return nil, errNoSamples
	}
	l.Own = o.Taken
	l.shrink()
	if !l.Own {
		return l, nil
	}
	for name, m := range mapSpecs(o.RingSize, o.Samples) {
		spec.Maps[name] = m
		l.added = append(l.added, name)
	}
	functions := functionsFor(o)
	for name, p := range spec.Programs {
		if calls := callsOf(p.Instructions); len(calls) > 0 {
			l.code[name] = p.Instructions
			p.Instructions = replace(l.code[name], calls, functions, o.Samples)
		}
	}
	return l, nil
}

// functionsFor returns the functions that take the place of bpf_get_stackid.
func functionsFor(o *Options) map[string]asm.Instructions {
	functions := map[string]asm.Instructions{functionID: stackIDCode(int32(o.RingSize))}
	if o.Samples {
		functions[functionSample] = sampleCode(int32(o.RingSize))
	}
	return functions
}

// shrink makes the object's maps for stacks as small as possible: programs no longer call the helper with them, or never do.
func (l *Linked) shrink() {
	for name, m := range l.spec.Maps {
		if m.Type == ebpf.StackTrace {
			l.entries[name] = m.MaxEntries
			m.MaxEntries = 1
		}
	}
}

// replaceable reports whether an object has maps for stacks that only calls of bpf_get_stackid use.
func replaceable(spec *ebpf.CollectionSpec, keep func(name string) bool) bool {
	found := false
	for name, m := range spec.Maps {
		if m.InnerMap != nil && m.InnerMap.Type == ebpf.StackTrace {
			return false
		}
		if m.Type != ebpf.StackTrace {
			continue
		}
		if m.Flags&flagBuildID != 0 || m.Pinning != ebpf.PinNone || keep(name) {
			return false
		}
		found = true
	}
	for _, p := range spec.Programs {
		found = found && !readsStacks(spec, p.Instructions)
	}
	return found
}

// readsStacks reports whether code uses a map for stacks in another way than to get an id.
func readsStacks(spec *ebpf.CollectionSpec, code asm.Instructions) bool {
	isStacks := func(ins *asm.Instruction) bool {
		m := spec.Maps[ins.Reference()]
		return ins.IsLoadFromMap() && m != nil && m.Type == ebpf.StackTrace
	}
	if !slices.ContainsFunc(code, func(ins asm.Instruction) bool { return isStacks(&ins) }) {
		return false
	}
	targets := bpfcode.Targets(code)
	for i := range code {
		if code[i].IsBuiltinCall() && bpfcode.OriginOf(code, targets, i, asm.R1, isStacks) >= 0 {
			return true
		}
	}
	return false
}

// callsOf returns the calls of bpf_get_stackid.
func callsOf(code asm.Instructions) (calls []int) {
	for i := range code {
		if code[i].IsBuiltinCall() && asm.BuiltinFunc(code[i].Constant) == asm.FnGetStackid {
			calls = append(calls, i)
		}
	}
	return calls
}

// replace returns a copy of a program's code that calls gizmo's function.
func replace(code asm.Instructions, calls []int, functions map[string]asm.Instructions, samples bool) asm.Instructions {
	name := functionID
	if samples {
		name = functionSample
	}
	code = slices.Clone(code)
	for _, i := range calls {
		code[i] = bpfcode.CallInPlace(&code[i], name)
	}
	return bpfcode.Link(code, describe(functions, code), name)
}

// describe returns functions with as much information about types and lines as the code has that they are for: the kernel wants it of
// all functions of a program, or of none.
func describe(functions map[string]asm.Instructions, code asm.Instructions) map[string]asm.Instructions {
	described := maps.Clone(functions)
	typed := btf.FuncMetadata(&code[0]) != nil
	lines := slices.ContainsFunc(code, func(ins asm.Instruction) bool { return ins.Source() != nil })
	for name, function := range functions {
		function = slices.Clone(function)
		if !lines {
			for i := range function {
				function[i] = function[i].WithSource(nil)
			}
		}
		if typed {
			function[0] = btf.WithFuncMetadata(function[0], typeOf(name))
		}
		described[name] = function
	}
	return described
}

// typeOf returns the type of a function in place of bpf_get_stackid.
func typeOf(name string) *btf.Func {
	long := &btf.Int{Name: "long", Size: 8, Encoding: btf.Signed}
	pointer := &btf.Pointer{Target: &btf.Void{}}
	return &btf.Func{Name: name, Linkage: btf.StaticFunc, Type: &btf.FuncProto{
		Return: long,
		Params: []btf.FuncParam{{Name: "ctx", Type: pointer}, {Name: "map", Type: pointer}, {Name: "flags", Type: long}},
	}}
}
