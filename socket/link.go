// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"fmt"
	"maps"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/gizmo-ebpf/gizmo/internal/bpfcode"
)

// library has the functions that gizmo links into programs.
type library struct {
	functions map[string]asm.Instructions
	maps      map[string]*ebpf.MapSpec
}

// newLibrary takes the functions out of the object lookup.
func newLibrary(spec *ebpf.CollectionSpec) (*library, error) {
	l := &library{functions: make(map[string]asm.Instructions), maps: spec.Maps}
	for _, p := range spec.Programs {
		for _, name := range []string{byPacket, bySock, findPacket, find} {
			if start, end, ok := bpfcode.Function(p.Instructions, name); ok {
				l.functions[name] = p.Instructions[start:end]
			}
		}
	}
	if len(l.functions) != 4 {
		return nil, fmt.Errorf("the object for look-ups has the functions %q", slices.Sorted(maps.Keys(l.functions)))
	}
	return l, nil
}

// link puts exact look-ups into a program. It reports whether the program also uses the map in a way that was left as it is.
func (l *library) link(p *ebpf.ProgramSpec) (plain bool) {
	l.replaceBySock(p)
	if !isForPackets(p) {
		return usesMap(p.Instructions)
	}
	code := p.Instructions
	targets := bpfcode.Targets(code)
	exact := make(map[int]bool) // the instructions that load the address of the map for look-ups that were replaced
	for i := range code {
		if !code[i].IsBuiltinCall() || asm.BuiltinFunc(code[i].Constant) != asm.FnMapLookupElem {
			continue
		}
		if from := bpfcode.OriginOf(code, targets, i, asm.R1, loadsMap); from >= 0 {
			exact[from] = true
			code[i] = bpfcode.CallInPlace(&code[i], byPacket)
		}
	}
	if len(exact) > 0 {
		l.add(p, byPacket)
	}
	for i := range code {
		plain = plain || loadsMap(&code[i]) && !exact[i]
	}
	return plain
}

// isForPackets reports whether gizmo's dispatchers tell the program's functions which packet it runs for.
func isForPackets(p *ebpf.ProgramSpec) bool {
	return p.Type == ebpf.SocketFilter || p.Type == ebpf.SchedCLS
}

// replaceBySock replaces the function by which <gadget/sockets-map.h> finds the owner of a struct sock.
func (l *library) replaceBySock(p *ebpf.ProgramSpec) {
	start, end, ok := bpfcode.Function(p.Instructions, plainBySock)
	if !ok {
		return
	}
	p.Instructions = slices.Delete(slices.Clone(p.Instructions), start, end)
	for i := range p.Instructions {
		if ins := &p.Instructions[i]; ins.IsFunctionReference() && ins.Reference() == plainBySock {
			*ins = ins.WithReference(bySock)
		}
	}
	l.add(p, bySock)
}

// empty makes a function do nothing. The verifier takes time for the instructions of functions that no program calls.
func empty(p *ebpf.ProgramSpec, name string) {
	start, end, ok := bpfcode.Function(p.Instructions, name)
	if !ok {
		return
	}
	nothing := asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}
	nothing[0].Metadata = p.Instructions[start].Metadata
	p.Instructions = slices.Replace(slices.Clone(p.Instructions), start, end, nothing...)
}

// add appends a function to a program, with those that it calls.
func (l *library) add(p *ebpf.ProgramSpec, name string) {
	p.Instructions = bpfcode.Link(p.Instructions, l.functions, name)
}

func loadsMap(ins *asm.Instruction) bool { return ins.IsLoadFromMap() && ins.Reference() == portsMap }

func usesMap(code asm.Instructions) bool {
	return slices.ContainsFunc(code, func(ins asm.Instruction) bool { return loadsMap(&ins) })
}
