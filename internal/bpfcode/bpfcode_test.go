// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package bpfcode_test

import (
	"slices"
	"testing"

	"github.com/cilium/ebpf/asm"

	"github.com/gizmo-ebpf/gizmo/internal/bpfcode"
)

func code() asm.Instructions {
	return asm.Instructions{
		asm.LoadImm(asm.R1, 1, asm.DWord).WithSymbol("main"), // takes two places
		asm.Mov.Imm(asm.R0, 0),
		asm.Return(),
		asm.Mov.Imm(asm.R0, 1).WithSymbol("other"),
		asm.Return(),
	}
}

func TestFunctions(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][2]int{"main": {0, 3}, "other": {3, 5}} {
		if from, to, ok := bpfcode.Function(code(), name); !ok || [2]int{from, to} != want {
			t.Errorf("%s: from %d to %d, %v", name, from, to, ok)
		}
	}
	if _, _, ok := bpfcode.Function(code(), "third"); ok {
		t.Error("a function was found that is not there")
	}
	for i, want := range []int{3, 3, 3, 5, 5} {
		if got := bpfcode.End(code(), i); got != want {
			t.Errorf("instruction %d: its function ends at %d, want %d", i, got, want)
		}
	}
	if got := bpfcode.End(nil, 0); got != 0 {
		t.Error("no code ends at", got)
	}
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	if got, want := bpfcode.Places(code()), []int{0, -1, 1, 2, 3, 4}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	var exits []int
	for i, ins := range code() {
		if bpfcode.IsExit(&ins) {
			exits = append(exits, i)
		}
	}
	if want := []int{2, 4}; !slices.Equal(exits, want) {
		t.Errorf("returns at %v, want %v", exits, want)
	}
}

func TestDistance(t *testing.T) {
	t.Parallel()
	near := asm.Instruction{OpCode: asm.OpCode(asm.JumpClass).SetJumpOp(asm.Ja), Offset: -3, Constant: 7}
	far := asm.Instruction{OpCode: asm.OpCode(asm.Jump32Class).SetJumpOp(asm.Ja), Offset: -3, Constant: 70000}
	other := asm.Instruction{OpCode: asm.OpCode(asm.Jump32Class).SetJumpOp(asm.JEq), Offset: 5, Constant: 70000}
	for want, ins := range map[int]asm.Instruction{-3: near, 70000: far, 5: other} {
		if got := bpfcode.Distance(&ins); got != want {
			t.Errorf("%v: got %d, want %d", ins, got, want)
		}
	}
}
