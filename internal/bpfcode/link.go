// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package bpfcode

import (
	"slices"

	"github.com/cilium/ebpf/asm"
)

// CallInPlace returns a call of a function in place of the call of a helper.
func CallInPlace(ins *asm.Instruction, name string) asm.Instruction {
	call := asm.Instruction{
		OpCode: asm.OpCode(asm.JumpClass).SetJumpOp(asm.Call), Src: asm.PseudoCall, Constant: -1, Metadata: ins.Metadata,
	}
	return call.WithReference(name)
}

// Link appends a function to the code of a program, with those that it calls, unless they are there. It leaves the array behind the slice as it is.
func Link(code asm.Instructions, functions map[string]asm.Instructions, name string) asm.Instructions {
	if _, _, ok := Function(code, name); ok {
		return code
	}
	function := functions[name]
	code = append(slices.Clip(code), function...)
	for i := range function {
		if function[i].IsFunctionCall() {
			code = Link(code, functions, function[i].Reference())
		}
	}
	return code
}

// OriginOf returns the instruction that loads the address which a call finds in a register: one of the loads that the
// function loads is true for; -1 if it is another, or if that depends on the path to the call. The address may come by way of other
// registers. One that several blocks use is set once in a function. targets is what [Targets] returns.
func OriginOf(code asm.Instructions, targets map[int]bool, call int, reg asm.Register, loads func(*asm.Instruction) bool) int {
	for i := call - 1; i >= 0; i-- {
		ins := &code[i]
		class := ins.OpCode.Class()
		switch {
		case targets[i+1], class.IsJump() && ins.OpCode.JumpOp() != asm.Call:
			return onlyLoad(code, i+1, reg, loads)
		case class.IsJump() && reg <= asm.R5: // a call leaves nothing in them
			return -1
		case class.IsJump(), class == asm.StClass, class == asm.StXClass, ins.Dst != reg:
		case loads(ins):
			return i
		case ins.OpCode == asm.Mov.Op(asm.RegSource) && class == asm.ALU64Class:
			reg = ins.Src
		default:
			return -1
		}
	}
	return -1
}

// Targets returns the instructions that others jump to, and those that begin a function.
func Targets(code asm.Instructions) map[int]bool {
	places := Places(code)
	targets := make(map[int]bool)
	for it := code.Iterate(); it.Next(); {
		ins := it.Ins
		if ins.Symbol() != "" {
			targets[it.Index] = true
		}
		if !ins.OpCode.Class().IsJump() || ins.OpCode.JumpOp() == asm.Call || IsExit(ins) {
			continue
		}
		if to := int(it.Offset) + 1 + Distance(ins); to >= 0 && to < len(places) && places[to] >= 0 {
			targets[places[to]] = true
		}
	}
	return targets
}

// onlyLoad returns the instruction that loads an address into a register, if the function around place sets the register
// nowhere else.
func onlyLoad(code asm.Instructions, place int, reg asm.Register, loads func(*asm.Instruction) bool) int {
	if reg < asm.R6 {
		return -1
	}
	start := place
	for start > 0 && code[start].Symbol() == "" {
		start--
	}
	found := -1
	for i := start; i < End(code, place); i++ {
		ins := &code[i]
		class := ins.OpCode.Class()
		if ins.Dst != reg || class.IsJump() || class == asm.StClass || class == asm.StXClass {
			continue
		}
		if found >= 0 || !loads(ins) {
			return -1
		}
		found = i
	}
	return found
}
