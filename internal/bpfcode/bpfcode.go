// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package bpfcode finds its way in the instructions of a program, as the library has them before it loads the program: a
// program's main function comes first, and the functions that it calls follow. A function begins where an instruction has a symbol.
package bpfcode

import "github.com/cilium/ebpf/asm"

// Function returns where a function begins and ends; ok is false if the code does not have it.
func Function(code asm.Instructions, name string) (from, to int, ok bool) {
	for i := range code {
		if code[i].Symbol() == name {
			return i, End(code, i), true
		}
	}
	return 0, 0, false
}

// End returns where the function ends that the instruction at index i belongs to.
func End(code asm.Instructions, i int) int {
	for i++; i < len(code) && code[i].Symbol() == ""; {
		i++
	}
	return min(i, len(code))
}

// Places returns the index of the instruction at each place in the code; -1: none begins there. Jumps count in places: some
// instructions take two.
func Places(code asm.Instructions) []int {
	index := make([]int, 0, len(code))
	for it := code.Iterate(); it.Next(); {
		for len(index) < int(it.Offset) {
			index = append(index, -1)
		}
		index = append(index, it.Index)
	}
	return index
}

// IsExit reports whether an instruction returns from a function.
func IsExit(ins *asm.Instruction) bool {
	return ins.OpCode.Class() == asm.JumpClass && ins.OpCode.JumpOp() == asm.Exit
}

// Distance returns how many places a jump leads beyond the next instruction.
func Distance(jump *asm.Instruction) int {
	if jump.OpCode.JumpOp() == asm.Ja && jump.OpCode.Class() == asm.Jump32Class {
		return int(jump.Constant)
	}
	return int(jump.Offset)
}
