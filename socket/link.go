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
	targets := jumpTargets(code)
	exact := make(map[int]bool) // the instructions that load the address of the map for look-ups that were replaced
	for i := range code {
		if !code[i].IsBuiltinCall() || asm.BuiltinFunc(code[i].Constant) != asm.FnMapLookupElem {
			continue
		}
		if from := mapOf(code, targets, i); from >= 0 {
			exact[from] = true
			code[i] = callInPlace(&code[i], byPacket)
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
	if _, _, ok := bpfcode.Function(p.Instructions, name); ok {
		return
	}
	code := l.functions[name]
	p.Instructions = append(slices.Clip(p.Instructions), code...)
	for i := range code {
		if code[i].IsFunctionCall() {
			l.add(p, code[i].Reference())
		}
	}
}

// callInPlace returns a call of a function in place of the call of a helper.
func callInPlace(ins *asm.Instruction, name string) asm.Instruction {
	call := asm.Instruction{
		OpCode: asm.OpCode(asm.JumpClass).SetJumpOp(asm.Call), Src: asm.PseudoCall, Constant: -1, Metadata: ins.Metadata,
	}
	return call.WithReference(name)
}

func loadsMap(ins *asm.Instruction) bool { return ins.IsLoadFromMap() && ins.Reference() == portsMap }

func usesMap(code asm.Instructions) bool {
	return slices.ContainsFunc(code, func(ins asm.Instruction) bool { return loadsMap(&ins) })
}

// mapOf returns the instruction that loads the address of gadget_sockets for a call; -1 if it is another map, or if that depends on
// the path to the call. The address may come by way of other registers. One that several blocks use is set once in a function.
func mapOf(code asm.Instructions, targets map[int]bool, call int) int {
	reg := asm.R1
	for i := call - 1; i >= 0; i-- {
		ins := &code[i]
		class := ins.OpCode.Class()
		switch {
		case targets[i+1], class.IsJump() && ins.OpCode.JumpOp() != asm.Call:
			return onlyLoad(code, i+1, reg)
		case class.IsJump() && reg <= asm.R5: // a call leaves nothing in them
			return -1
		case class.IsJump(), class == asm.StClass, class == asm.StXClass, ins.Dst != reg:
		case loadsMap(ins):
			return i
		case ins.OpCode == asm.Mov.Op(asm.RegSource) && class == asm.ALU64Class:
			reg = ins.Src
		default:
			return -1
		}
	}
	return -1
}

// jumpTargets returns the instructions that others jump to, and those that begin a function.
func jumpTargets(code asm.Instructions) map[int]bool {
	places := bpfcode.Places(code)
	targets := make(map[int]bool)
	for it := code.Iterate(); it.Next(); {
		ins := it.Ins
		if ins.Symbol() != "" {
			targets[it.Index] = true
		}
		if !ins.OpCode.Class().IsJump() || ins.OpCode.JumpOp() == asm.Call || bpfcode.IsExit(ins) {
			continue
		}
		if to := int(it.Offset) + 1 + bpfcode.Distance(ins); to >= 0 && to < len(places) && places[to] >= 0 {
			targets[places[to]] = true
		}
	}
	return targets
}

// onlyLoad returns the instruction that loads the address of the map into a register, if the function around place sets the register
// nowhere else.
func onlyLoad(code asm.Instructions, place int, reg asm.Register) int {
	if reg < asm.R6 {
		return -1
	}
	start := place
	for start > 0 && code[start].Symbol() == "" {
		start--
	}
	found := -1
	for i := start; i < bpfcode.End(code, place); i++ {
		ins := &code[i]
		class := ins.OpCode.Class()
		if ins.Dst != reg || class.IsJump() || class == asm.StClass || class == asm.StXClass {
			continue
		}
		if found >= 0 || !loadsMap(ins) {
			return -1
		}
		found = i
	}
	return found
}
