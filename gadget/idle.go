// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// maxIdleSize is the size in bytes up to which a program is looked at closely: a return takes 16,
// and a few instructions that fetch a param remain before it.
const maxIdleSize = 16 * asm.InstructionSize

// isIdle reports whether a loaded program does nothing: the verifier has removed all that its
// params rule out, and what is left neither calls nor stores. Such a program is not attached, so
// that a feature that is switched off costs the host nothing. If the kernel does not tell, it is
// taken to do something.
func isIdle(prog *ebpf.Program) bool {
	info, err := prog.Info()
	if err != nil {
		return false
	}
	size, err := info.TranslatedSize()
	if err != nil || size > maxIdleSize {
		return false
	}
	instructions, err := info.Instructions()
	if err != nil {
		return false
	}
	for _, ins := range instructions {
		switch class := ins.OpCode.Class(); {
		case (class == asm.StClass || class == asm.StXClass) && ins.Dst != asm.RFP:
			return false // what goes to the program's own stack nobody sees
		case class.IsJump() && ins.OpCode.JumpOp() == asm.Call:
			return false
		}
	}
	return len(instructions) > 0
}
