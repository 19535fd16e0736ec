// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"bytes"
	"debug/elf"
)

// What the package knows of x86-64 is in this file: the numbers that DWARF gives to the registers, which of them a function
// keeps for its caller, how a frame pointer leads to the caller, and how a signal handler returns. Another machine needs a second set
// of these, chosen by the machine of the file, and the register with the return address apart from the program counter.
const (
	machine = elf.EM_X86_64

	registerCount = 17

	// RegisterBX and the others are the numbers of the registers that a [Sample] has.
	RegisterBX  = 3
	RegisterBP  = 6
	RegisterSP  = 7
	RegisterR12 = 12
	RegisterR13 = 13
	RegisterR14 = 14
	RegisterR15 = 15
	RegisterIP  = 16

	// keptRegisters are those that have the caller's value again when a function returns, unless its CFI says something else.
	keptRegisters = 1<<RegisterBX | 1<<RegisterBP | 1<<RegisterR12 | 1<<RegisterR13 | 1<<RegisterR14 | 1<<RegisterR15

	// redZone is the size of the room below the stack pointer that a function may use.
	redZone = 128
)

// A function with a frame pointer has the caller's frame pointer where its own points to, and the return address behind that.
const (
	frameReturn = 8
	frameSize   = 16
)

// startSize is more than the code has that runs first in a program and calls what the C library has for that.
const startSize = 64

// signalContext says where the kernel leaves the registers for a signal handler: from the stack pointer that the handler's return
// leaves, which points to a struct ucontext, the number of bytes to each register, in the order of the registers' numbers.
func signalContext() [registerCount]int32 {
	const registers = 40 // offsetof(struct ucontext, uc_mcontext)
	return [registerCount]int32{
		registers + 8*13, // ax
		registers + 8*12, // dx
		registers + 8*14, // cx
		registers + 8*11, // bx
		registers + 8*9,  // si
		registers + 8*8,  // di
		registers + 8*10, // bp
		registers + 8*15, // sp
		registers + 8*0,  // r8
		registers + 8*1,
		registers + 8*2,
		registers + 8*3,
		registers + 8*4,
		registers + 8*5,
		registers + 8*6,
		registers + 8*7,  // r15
		registers + 8*16, // ip
	}
}

// returnsFromSignal says whether code is what a signal handler returns to: the system call rt_sigreturn, which is number 15.
func returnsFromSignal(code *[signalReturnSize]byte) bool {
	return string(code[:]) == "\x48\xc7\xc0\x0f\x00\x00\x00\x0f\x05" || // mov $15, %rax; syscall
		string(code[:7]) == "\xb8\x0f\x00\x00\x00\x0f\x05" // mov $15, %eax; syscall
}

const signalReturnSize = 9

// returnSize is what a call puts on the stack.
const returnSize = 8

// jumps says whether code is a stub: a jump to the address that is in memory at a distance from the instruction, maybe behind the mark of a place
// that may be jumped to (endbr64), and with a prefix (bnd).
func jumps(code *[jumpStubSize]byte) bool {
	rest := bytes.TrimPrefix(code[:], []byte("\xf3\x0f\x1e\xfa"))
	return bytes.HasPrefix(bytes.TrimPrefix(rest, []byte("\xf2")), []byte("\xff\x25"))
}

const jumpStubSize = 8
