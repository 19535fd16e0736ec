// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/rlimit"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// The remaining instructions of a program show whether it does nothing. For a program whose result
// matters to the kernel they must also show that the result is 0.
func TestIdlePrograms(t *testing.T) {
	kerneltest.RequireRoot(t)
	if err := rlimit.RemoveMemlock(); err != nil {
		t.Fatal(err)
	}
	long := asm.Instructions{}
	for range maxIdleSize {
		long = append(long, asm.Mov.Reg(asm.R2, asm.R1))
	}
	for name, c := range map[string]struct {
		code         asm.Instructions
		idle, agrees bool
	}{
		"0":                    {asm.Instructions{asm.Mov.Imm(asm.R0, 0)}, true, true},
		"32 bits of 0":         {asm.Instructions{asm.Mov.Imm32(asm.R0, 0)}, true, true},
		"1":                    {asm.Instructions{asm.Mov.Imm(asm.R0, 1)}, true, false},
		"-1":                   {asm.Instructions{asm.Mov.Imm(asm.R0, -1)}, true, false},
		"0, then 1":            {asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Add.Imm(asm.R0, 1)}, true, false},
		"a param, then 0":      {asm.Instructions{asm.LoadMem(asm.R2, asm.R1, 0, asm.Word), asm.Mov.Imm(asm.R0, 0)}, true, true},
		"a part of its input":  {asm.Instructions{asm.LoadMem(asm.R0, asm.R1, 0, asm.Word)}, true, false},
		"another register":     {asm.Instructions{asm.Mov.Reg(asm.R0, asm.R1), asm.Mov.Imm(asm.R0, 0)}, true, false}, // not looked at so closely
		"a constant of 64 bit": {asm.Instructions{asm.LoadImm(asm.R0, 1<<40, asm.DWord)}, true, false},
		"its stack":            {asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.StoreMem(asm.RFP, -8, asm.R0, asm.DWord)}, true, true},
		"a call":               {asm.Instructions{asm.FnKtimeGetNs.Call(), asm.Mov.Imm(asm.R0, 0)}, false, false},
		"a store":              {asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.StoreMem(asm.R1, 48, asm.R0, asm.Word)}, false, false},
		"too much to look at":  {append(long, asm.Mov.Imm(asm.R0, 0)), false, false},
	} {
		prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
			Type: ebpf.SocketFilter, License: "GPL", Instructions: append(c.code, asm.Return()),
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		defer prog.Close()
		if idle, agree := isIdle(prog), agrees(prog); idle != c.idle || agree != c.agrees {
			t.Errorf("%s: idle %v, agrees %v, want %v, %v", name, idle, agree, c.idle, c.agrees)
		}
	}
}
