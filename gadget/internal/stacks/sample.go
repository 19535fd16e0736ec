// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package stacks

import (
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// The places of registers in struct pt_regs of x86-64. Programs have relied on them since long, so they do not change.
const (
	regsCS = 136
	regsSP = 152
	// cs32 is CS of a process of 32 bits.
	cs32 = 0x23
)

// sampledRegisters are the places of ip, sp, bp, bx, r12, r13, r14 and r15: those from which an unwinder starts.
func sampledRegisters() []int16 { return []int16{128, regsSP, 32, 40, 24, 16, 8, 0} }

// sampleCode returns the function (context, map, flags) in place of bpf_get_stackid that sends registers and bytes of user stacks. If
// that is not possible, it returns what the function for ids has returned.
func sampleCode(ringSize int32) asm.Instructions {
	a := newAssembler()
	call := asm.Instruction{OpCode: asm.OpCode(asm.JumpClass).SetJumpOp(asm.Call), Src: asm.PseudoCall, Constant: -1}
	a.note("the stack by frame pointers")
	a.emit(asm.Mov.Reg(regFlags, asm.R3), call.WithReference(functionID),
		asm.Mov.Reg(asm.R9, asm.R0), asm.And.Imm(regFlags, flagUser))
	a.jumpIf(asm.JEq, regFlags, 0, "plain")
	a.jumpIf(asm.JEq, asm.R9, -int32(unix.EFAULT), "plain") // the kernel's own thread
	a.takeRoom(mapBig, bigRooms)
	a.registers()
	a.copyStack()
	a.send(ringSize)
	a.emit(asm.LoadMem(asm.R0, regRoom, roomRecord+recordID, asm.Word))

	a.label("out")
	a.emit(asm.StoreImm(regRoom, roomBusy, 0, asm.Word), asm.Return())
	a.label("kernel mode")
	a.emit(asm.StoreImm(regRoom, roomBusy, 0, asm.Word))
	a.label("plain")
	a.emit(asm.Mov.Reg(asm.R0, asm.R9), asm.Return())
	a.label("busy")
	a.lose(lostBusy, unix.EBUSY)
	a.jump("plain")
	a.label("full")
	a.lose(lostFull, unix.ENOSPC)
	a.jump("without")
	a.label("exhausted")
	a.lose(lostExhausted, unix.EOVERFLOW)
	a.label("without")
	a.emit(asm.LoadMem(asm.R1, regRoom, roomRecord+recordFP, asm.Word))
	a.jumpIf(asm.JEq, asm.R1, 0, "out")
	a.emit(asm.Mov.Reg(asm.R0, asm.R1))
	a.jump("out")
	return a.function(functionSample)
}

// registers puts those with which the process entered the kernel into the record, and leaves the stack pointer in R6.
func (a *assembler) registers() {
	a.note("the registers of the process")
	a.emit(asm.Mov.Reg(asm.R1, asm.R9))
	a.jumpIf(asm.JSGE, asm.R1, 0, "found")
	a.emit(asm.Mov.Imm(asm.R1, 0))
	a.label("found")
	a.emit(asm.StoreMem(regRoom, roomRecord+recordFP, asm.R1, asm.Word),
		asm.FnGetCurrentPidTgid.Call(), asm.RSh.Imm(asm.R0, 32), asm.StoreMem(regRoom, roomRecord+recordTgid, asm.R0, asm.Word),
		asm.FnKtimeGetBootNs.Call(), asm.StoreMem(regRoom, roomRecord+recordTime, asm.R0, asm.DWord),
		asm.StoreImm(regRoom, roomRecord+recordKind, kindSample, asm.Word),
		asm.FnGetCurrentTaskBtf.Call(), asm.Mov.Reg(asm.R1, asm.R0), asm.FnTaskPtRegs.Call(),
		asm.LoadMem(asm.R1, asm.R0, regsCS, asm.Half), asm.Mov.Reg(asm.R2, asm.R1), asm.And.Imm(asm.R2, 3))
	a.jumpIf(asm.JEq, asm.R1, cs32, "kernel mode")
	a.jumpIf(asm.JEq, asm.R2, 0, "kernel mode")
	for i, place := range sampledRegisters() {
		a.emit(asm.LoadMem(asm.R1, asm.R0, place, asm.DWord),
			asm.StoreMem(regRoom, roomRecord+recordSample+8*int16(i), asm.R1, asm.DWord))
	}
	a.emit(asm.LoadMem(asm.R6, asm.R0, regsSP, asm.DWord))
}

// copyStack puts the stack, from R6 up, into the record, and the record's length into regLength.
func (a *assembler) copyStack() {
	const bytes = roomRecord + recordSample + sampleStack
	a.note("the stack")
	a.emit(asm.Mov.Reg(asm.R1, asm.R6), asm.And.Imm(asm.R1, page-1), asm.Mov.Imm(asm.R7, page), asm.Sub.Reg(asm.R7, asm.R1),
		asm.Mov.Reg(asm.R1, regRoom), asm.Add.Imm(asm.R1, bytes), asm.Mov.Reg(asm.R2, asm.R7), asm.Mov.Reg(asm.R3, asm.R6),
		asm.FnProbeReadUser.Call())
	a.jumpIf(asm.JEq, asm.R0, 0, "part")
	a.emit(asm.Mov.Imm(asm.R7, 0))
	a.jump("copied")
	a.label("part")
	a.jumpIf(asm.JGT, asm.R7, maxSampleStack-page, "copied")
	a.emit(asm.Mov.Reg(asm.R1, regRoom), asm.Add.Imm(asm.R1, bytes), asm.Add.Reg(asm.R1, asm.R7), asm.Mov.Imm(asm.R2, page),
		asm.Mov.Reg(asm.R3, asm.R6), asm.Add.Reg(asm.R3, asm.R7), asm.FnProbeReadUser.Call())
	a.jumpIf(asm.JNE, asm.R0, 0, "copied")
	a.emit(asm.Add.Imm(asm.R7, page))
	a.jump("part")
	a.label("copied")
	a.emit(asm.StoreMem(regRoom, roomRecord+recordSample+sampleLen, asm.R7, asm.Word),
		asm.StoreImm(regRoom, roomRecord+recordSample+sampleLen+4, 0, asm.Word),
		asm.Mov.Reg(regLength, asm.R7), asm.Add.Imm(regLength, recordSample+sampleStack))
}
