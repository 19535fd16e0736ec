// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package idle

import (
	"maps"
	"slices"
	"testing"

	"github.com/cilium/ebpf/asm"
)

// callOf is a call of a function of the program.
func callOf(name string) asm.Instruction {
	return asm.Instruction{OpCode: asm.OpCode(asm.JumpClass).SetJumpOp(asm.Call), Src: asm.PseudoCall, Constant: -1}.WithReference(name)
}

// reached returns the instructions that can be reached, by index.
func reached(code asm.Instructions) []int {
	finder := New(testSpec(code), func(name string) bool { return name == "late" })
	return slices.Sorted(maps.Keys(finder.Reach("p")))
}

func TestReach(t *testing.T) {
	t.Parallel()
	// switched reads a constant and goes over the next instruction if it is 0.
	switched := func(off int64, code ...asm.Instruction) asm.Instructions {
		return append(asm.Instructions{address(asm.R1, off), asm.LoadMem(asm.R2, asm.R1, 0, asm.Byte), jump(asm.JEq, asm.R2, 0, 1)}, code...)
	}
	for _, c := range []struct {
		name string
		code asm.Instructions
		want []int
	}{
		{"straight", asm.Instructions{zero, call, end}, []int{0, 1, 2}},
		{"switched off", switched(0, call, zero, end), []int{0, 1, 2, 4, 5}},
		{"switched on", switched(1, call, zero, end), []int{0, 1, 2, 3, 4, 5}},
		{"not known yet", switched(8, call, zero, end), []int{0, 1, 2, 3, 4, 5}},
		{"behind the end", asm.Instructions{zero, end, call, end}, []int{0, 1}},
		{"jumped over", asm.Instructions{zero, always(1), call, end}, []int{0, 1, 3}},
		{"an effect is passed", append(asm.Instructions{call, asm.StoreMem(asm.R0, 0, asm.R2, asm.DWord)}, switched(0, call, zero, end)...), []int{0, 1, 2, 3, 4, 6, 7}},
		{"a loop", asm.Instructions{zero, asm.Add.Imm(asm.R0, 1), jump(asm.JLT, asm.R0, 9, -2), end}, []int{0, 1, 2, 3}},
		{"an endless loop", asm.Instructions{zero, always(-2), end}, []int{0, 1}},
		{
			"two paths that disagree",
			asm.Instructions{call, asm.Mov.Imm(asm.R2, 0), jump(asm.JEq, asm.R0, 0, 1), asm.Mov.Imm(asm.R2, 1), jump(asm.JEq, asm.R2, 0, 1), call, end},
			[]int{0, 1, 2, 3, 4, 5, 6},
		},
		{
			"two paths that agree",
			asm.Instructions{call, asm.Mov.Imm(asm.R2, 0), jump(asm.JEq, asm.R0, 0, 1), asm.Mov.Imm(asm.R3, 1), jump(asm.JEq, asm.R2, 0, 1), call, end},
			[]int{0, 1, 2, 3, 4, 6},
		},
		{
			"a call forgets what the registers have", // those that it may change
			asm.Instructions{asm.Mov.Imm(asm.R2, 0), asm.Mov.Imm(asm.R6, 0), call, jump(asm.JEq, asm.R2, 0, 1), call, jump(asm.JEq, asm.R6, 0, 1), call, end},
			[]int{0, 1, 2, 3, 4, 5, 7},
		},
		{
			"functions that are called",
			asm.Instructions{
				callOf("f"), end,
				zero.WithSymbol("f"), callOf("g"), end,
				zero.WithSymbol("g"), end,
				zero.WithSymbol("never"), end,
			},
			[]int{0, 1, 2, 3, 4, 5, 6},
		},
		{
			"a function that a constant switches off",
			append(switched(0, callOf("f"), zero, end), zero.WithSymbol("f"), end),
			[]int{0, 1, 2, 4, 5},
		},
		{
			"arguments are not known",
			asm.Instructions{
				asm.Mov.Imm(asm.R1, 0), callOf("f"), end,
				jump(asm.JEq, asm.R1, 0, 1).WithSymbol("f"), call, zero, end,
			},
			[]int{0, 1, 2, 3, 4, 5, 6},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := reached(c.code); !slices.Equal(got, c.want) {
				t.Errorf("reached %v, want %v", got, c.want)
			}
		})
	}
}

// A program as long as the kernel allows takes little time, however its paths join.
func TestReachOfLongPrograms(t *testing.T) {
	t.Parallel()
	var code asm.Instructions
	for i := range 2000 {
		code = append(code, call, jump(asm.JEq, asm.R0, 0, 1), asm.Mov.Imm(asm.Register(6+i%4), int32(i)), jump(asm.JEq, asm.R7, 3, 1), call)
	}
	code = append(code, zero, end)
	if got := len(reached(code)); got != len(code) {
		t.Errorf("%d instructions of %d", got, len(code))
	}
}
