// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"fmt"
	"math"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/gizmo-ebpf/gizmo/internal/bpfcode"
)

// FixResult makes a program return Undecided wherever it returns, before it is loaded. A dispatcher cannot do that, because it does not get
// control back after it has called the program.
func FixResult(spec *ebpf.ProgramSpec) error {
	end := bpfcode.End(spec.Instructions, 0)
	main := spec.Instructions[:end]
	size, exits := 0, make(map[int]int) // in the kernel's instructions; offsets by indices
	for at := main.Iterate(); at.Next(); {
		if bpfcode.IsExit(at.Ins) {
			exits[at.Index] = int(at.Offset)
		}
		size = int(at.Offset) + int(at.Ins.Size())/asm.InstructionSize
	}
	if len(exits) == 0 {
		return nil
	}
	fixed := make(asm.Instructions, 0, len(spec.Instructions)+2)
	fixed = append(fixed, main...)
	fixed = append(fixed, asm.Mov.Imm(asm.R0, Undecided(spec.Type)), asm.Return())
	fixed = append(fixed, spec.Instructions[end:]...)
	for i, offset := range exits {
		distance := size - offset - 1
		if distance > math.MaxInt16 {
			return fmt.Errorf("it is too long: a return has %d instructions behind it, and the limit is %d", distance, math.MaxInt16)
		}
		fixed[i].OpCode, fixed[i].Offset = asm.OpCode(asm.JumpClass).SetJumpOp(asm.Ja), int16(distance)
	}
	spec.Instructions = fixed
	return nil
}
