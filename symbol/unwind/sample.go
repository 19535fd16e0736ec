// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"encoding/binary"
	"fmt"
)

// Sample is what a BPF program sends of a thread in user mode, so that its stack can be unwound. The bytes are, in the machine's own
// order:
//
//	u64 ip, sp, bp, bx, r12, r13, r14, r15;
//	u32 length; // of the copy
//	u32 zero;
//	u8  stack[length]; // the memory from sp up
//
// What follows is ignored, because ring buffers pad records. The registers are those that a function keeps for its caller; others matter
// only within functions that are just setting up an unusual frame.
type Sample struct {
	Registers Registers
	// Stack is a part of what was decoded.
	Stack []byte
}

// SampleHeader is the number of bytes in front of the copy of the stack.
const SampleHeader = 8*8 + 2*4

// sampleRegisters is the order of the registers in a sample.
func sampleRegisters() [8]int {
	return [...]int{RegisterIP, RegisterSP, RegisterBP, RegisterBX, RegisterR12, RegisterR13, RegisterR14, RegisterR15}
}

// Decode reads a sample. It keeps b as a part of s.
func (s *Sample) Decode(b []byte) error {
	*s = Sample{}
	if len(b) < SampleHeader {
		return fmt.Errorf("sample of a stack has %d bytes; its header has %d", len(b), SampleHeader)
	}
	length := binary.NativeEndian.Uint32(b[64:])
	if zero := binary.NativeEndian.Uint32(b[68:]); zero != 0 {
		return fmt.Errorf("sample of a stack has the form %d, which this version of gizmo does not know", zero)
	}
	if uint64(length) > uint64(len(b)-SampleHeader) {
		return fmt.Errorf("sample of a stack says that %d bytes of the stack follow, but has %d", length, len(b)-SampleHeader)
	}
	for i, reg := range sampleRegisters() {
		s.Registers.Set(reg, binary.NativeEndian.Uint64(b[8*i:]))
	}
	s.Stack = b[SampleHeader : SampleHeader+int(length)]
	return nil
}
