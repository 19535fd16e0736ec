// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package alternate makes a program use two maps alternately, so that the reader can read one while the
// program writes to the other.
//
// A program that has looked up an entry of a map may write to it as long as it runs. If
// the entry is read and removed meanwhile, these writes are lost unnoticed. So the
// program gets its instructions twice, once for each map, with a choice in front of them.
// The reader changes the choice, waits until all runs of the program that began
// before have ended, and then no program uses the other map.
package alternate

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
)

// Maps are the maps between which a program chooses, by their names in its object.
type Maps struct {
	// First is the map that the program was written for, Second a map like it.
	First, Second string
	// Selector is an array map with one value. As long as its first four bytes are 0 the program uses
	// First, else Second.
	Selector string
}

// ErrTooLong is wrapped by the error about a program that is too long for a jump over it.
var ErrTooLong = errors.New("too many instructions")

// Uses reports whether a program refers to the map with a name.
func Uses(program asm.Instructions, name string) bool {
	return slices.ContainsFunc(program, func(ins asm.Instruction) bool { return isLoadOf(&ins, name) })
}

func isLoadOf(ins *asm.Instruction, name string) bool {
	return ins.IsLoadFromMap() && ins.Reference() == name
}

// Rewrite returns a copy of the program that chooses between two maps at the beginning of each run.
// The program may have been rewritten for other maps before.
func Rewrite(program asm.Instructions, m Maps) (asm.Instructions, error) {
	if len(program) == 0 {
		return nil, errors.New("there are no instructions")
	}
	// First the entry function, then those that it calls.
	entry := entryLength(program)
	if n := program[:entry].Size() / asm.InstructionSize; n > math.MaxInt16 {
		return nil, fmt.Errorf("%w: %d, and a jump spans %d", ErrTooLong, n, math.MaxInt16)
	}
	second := secondHalf(program, m)
	out := choose(program[0], m)
	out = append(out, anonymous(program[0]))
	out = append(out, program[1:entry]...)
	out = append(out, anonymous(second[0]).WithSymbol(label(m)))
	out = append(out, second[1:entry]...)
	out = append(out, program[entry:]...)
	return append(out, second[entry:]...), nil
}

// entryLength returns how many instructions there are before the first function that is called.
func entryLength(program asm.Instructions) int {
	called := program.FunctionReferences()
	i := slices.IndexFunc(program, func(ins asm.Instruction) bool { return slices.Contains(called, ins.Symbol()) })
	if i < 1 {
		return len(program)
	}
	return i
}

// label is the name of the place where the second half begins, which no name in C looks like.
func label(m Maps) string { return "/" + m.Second }

// secondHalf returns a copy of the program that uses the second map. Its symbols get other names.
func secondHalf(program asm.Instructions, m Maps) asm.Instructions {
	named := make(map[string]bool)
	for i := range program {
		if s := program[i].Symbol(); s != "" {
			named[s] = true
		}
	}
	copied := slices.Clone(program)
	for i := range copied {
		ins := &copied[i]
		if s := ins.Symbol(); s != "" {
			*ins = ins.WithSymbol(s + label(m))
		}
		switch ref := ins.Reference(); {
		case isLoadOf(ins, m.First):
			*ins = ins.WithReference(m.Second)
		case named[ref] && !ins.IsLoadFromMap():
			*ins = ins.WithReference(ref + label(m))
		}
	}
	return copied
}

// choose returns the instructions that jump to one of the halves. They replace the program's first
// instruction as the beginning of its function. Only R1 has a value there, and they do not change it.
func choose(first asm.Instruction, m Maps) asm.Instructions {
	value := asm.Instruction{OpCode: asm.LoadImmOp(asm.DWord), Dst: asm.R0, Src: asm.PseudoMapValue}
	value = btf.WithFuncMetadata(value, btf.FuncMetadata(&first)).WithSymbol(first.Symbol()).WithReference(m.Selector)
	if source := first.Source(); source != nil { // the kernel wants to know the line where a function begins
		value = value.WithSource(source)
	}
	return asm.Instructions{
		value,
		asm.LoadMem(asm.R0, asm.R0, 0, asm.Word),
		asm.JNE.Imm(asm.R0, 0, label(m)),
	}
}

// anonymous returns the instruction without the metadata that makes it the beginning of a function.
func anonymous(ins asm.Instruction) asm.Instruction {
	return btf.WithFuncMetadata(ins, nil).WithSymbol("")
}
