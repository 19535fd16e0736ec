// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cbpf

import (
	"errors"
	"fmt"
	"math"

	"github.com/cilium/ebpf/asm"
	"golang.org/x/net/bpf"
)

// errNegative is about offsets that have a special meaning for the kernel, or none.
var errNegative = errors.New("the offset is negative")

// load reads a value at a fixed place.
func (t *translator) load(to asm.Register, off uint32, size int) error {
	if off > math.MaxInt32 {
		return errNegative
	}
	if size != 1 && size != 2 && size != 4 {
		return fmt.Errorf("%d bytes cannot be read", size)
	}
	switch t.access {
	case Helper:
		t.emit(asm.Mov.Imm(asm.R2, int32(off)))
		t.callHelper(size)
		t.readStack(to, size)
	case Copy:
		if int(off)+size > copied {
			t.emit(asm.Mov.Imm(asm.R2, int32(off)))
			t.callHelper(size)
			t.readStack(to, size)
			return nil
		}
		t.emitReject(jumpTo(asm.JLT, regData, int32(off)+int32(size)))
		t.readCopy(to, asm.RFP, stackCopy+int16(off), size)
	case Direct:
		if off > maxDirect {
			t.emit(asm.Mov.Imm(asm.R1, 0))
			t.emitReject(jumpTo(asm.JEq, asm.R1, 0)) // not without a condition: the verifier refuses what nothing leads to
			return nil
		}
		t.emit(asm.Mov.Reg(asm.R1, regData), asm.Add.Imm(asm.R1, int32(off)+int32(size)))
		t.emitReject(compareReg(asm.JGT, asm.R1, regContext))
		t.readPacket(to, size)
	case DirectOrHelper:
		if off > maxDirect {
			t.emit(asm.Mov.Imm(asm.R2, int32(off)))
			t.callHelper(size)
			t.readStack(to, size)
			return nil
		}
		t.emit(asm.LoadMem(asm.R2, asm.RFP, stackEnd, asm.DWord),
			asm.Mov.Reg(asm.R1, regData), asm.Add.Imm(asm.R1, int32(off)+int32(size)))
		short := t.later(compareReg(asm.JGT, asm.R1, asm.R2))
		t.readPacket(to, size)
		done := t.later(jumpTo(asm.Ja, 0, 0))
		t.land(short)
		t.emit(asm.Mov.Imm(asm.R2, int32(off)))
		t.callHelper(size)
		t.readStack(to, size)
		t.land(done)
	}
	return nil
}

// loadIndirect reads a value at X and more. The sum is one of 64 bits, so that it does not wrap.
func (t *translator) loadIndirect(off uint32, size int) error {
	if off > math.MaxInt32 {
		return errNegative
	}
	access := t.access
	if access == Copy && int(off)+size > copied || access == DirectOrHelper && off > maxDirect {
		access = Helper
	}
	if access == Direct && off > maxDirect {
		return t.load(regA, off, size) // which rejects the packet
	}
	t.emit(asm.Mov.Reg(asm.R2, regX), asm.Add.Imm(asm.R2, int32(off)))
	switch access {
	case Helper:
		t.emitReject(jumpTo(asm.JGT, asm.R2, math.MaxInt32))
		t.callHelper(size)
		t.readStack(regA, size)
	case Copy:
		far := t.later(jumpTo(asm.JGT, asm.R2, copied-int32(size)))
		t.emit(asm.Mov.Reg(asm.R1, asm.RFP), asm.Add.Reg(asm.R1, asm.R2), asm.Add.Imm(asm.R2, int32(size)))
		t.emitReject(compareReg(asm.JGT, asm.R2, regData))
		t.readBytes(regA, asm.R1, stackCopy, size)
		done := t.later(jumpTo(asm.Ja, 0, 0))
		t.land(far)
		t.emitReject(jumpTo(asm.JGT, asm.R2, math.MaxInt32))
		t.callHelper(size)
		t.readStack(regA, size)
		t.land(done)
	case Direct:
		t.emitReject(jumpTo(asm.JGT, asm.R2, maxDirect))
		t.emit(asm.Mov.Reg(asm.R1, regData), asm.Add.Reg(asm.R1, asm.R2), asm.Add.Imm(asm.R1, int32(size)))
		t.emitReject(compareReg(asm.JGT, asm.R1, regContext))
		t.readPacket(regA, size)
	case DirectOrHelper:
		far := t.later(jumpTo(asm.JGT, asm.R2, maxDirect))
		t.emit(asm.LoadMem(asm.R3, asm.RFP, stackEnd, asm.DWord),
			asm.Mov.Reg(asm.R1, regData), asm.Add.Reg(asm.R1, asm.R2), asm.Add.Imm(asm.R1, int32(size)))
		short := t.later(compareReg(asm.JGT, asm.R1, asm.R3))
		t.readPacket(regA, size)
		done := t.later(jumpTo(asm.Ja, 0, 0))
		t.land(far)
		t.emitReject(jumpTo(asm.JGT, asm.R2, math.MaxInt32))
		t.land(short)
		t.callHelper(size)
		t.readStack(regA, size)
		t.land(done)
	}
	return nil
}

// copy copies the first bytes of the packet to the stack. The verifier wants to see the stack written before a copy whose size it does not
// know.
func (t *translator) copy() {
	t.emit(asm.LoadMem(regData, regContext, skbLen, asm.Word))
	long := t.later(jumpTo(asm.JGE, regData, copied))
	empty := t.later(jumpTo(asm.JLT, regData, 1))
	t.emit(asm.Mov.Imm(asm.R1, 0))
	const first = stackCopy &^ 7
	for off := int16(first); off < first+copied+8; off += 8 {
		t.emit(asm.StoreMem(asm.RFP, off, asm.R1, asm.DWord))
	}
	t.emit(asm.Mov.Reg(asm.R4, regData))
	short := t.later(jumpTo(asm.Ja, 0, 0))
	t.land(long)
	t.emit(asm.Mov.Imm(asm.R4, copied), asm.Mov.Imm(regData, copied))
	t.land(short)
	t.emit(asm.Mov.Reg(asm.R1, regContext), asm.Mov.Imm(asm.R2, 0), asm.Mov.Reg(asm.R3, asm.RFP), asm.Add.Imm(asm.R3, stackCopy),
		asm.FnSkbLoadBytes.Call())
	t.emitReject(jumpTo(asm.JNE, asm.R0, 0))
	t.land(empty)
}

// readCopy reads from the copy at a fixed place.
func (t *translator) readCopy(to, from asm.Register, off int16, size int) {
	if int(off)%size != 0 {
		t.readBytes(to, from, off, size)
		return
	}
	t.emit(asm.LoadMem(to, from, off, sizeOf(size)))
	t.swap(to, size)
}

// readBytes reads one byte after the other, because the address may be odd. It uses R3.
func (t *translator) readBytes(to, from asm.Register, off int16, size int) {
	t.emit(asm.LoadMem(to, from, off, asm.Byte))
	for i := range int16(size) - 1 {
		t.emit(asm.LSh.Imm(to, 8), asm.LoadMem(asm.R3, from, off+i+1, asm.Byte), asm.Or.Reg(to, asm.R3))
	}
}

// callHelper copies bytes at the offset in R2 to the stack.
func (t *translator) callHelper(size int) {
	t.emit(asm.Mov.Reg(asm.R1, regContext), asm.Mov.Reg(asm.R3, asm.RFP), asm.Add.Imm(asm.R3, stackLoaded),
		asm.Mov.Imm(asm.R4, int32(size)), asm.FnSkbLoadBytes.Call())
	t.emitReject(jumpTo(asm.JNE, asm.R0, 0))
}

func (t *translator) readStack(to asm.Register, size int) {
	t.emit(asm.LoadMem(to, asm.RFP, stackLoaded, sizeOf(size)))
	t.swap(to, size)
}

// readPacket reads the bytes before R1.
func (t *translator) readPacket(to asm.Register, size int) {
	t.emit(asm.LoadMem(to, asm.R1, -int16(size), sizeOf(size)))
	t.swap(to, size)
}

// swap turns a value from the byte order of the network into that of the machine.
func (t *translator) swap(to asm.Register, size int) {
	if size > 1 {
		t.emit(asm.HostTo(asm.BE, to, sizeOf(size)))
	}
}

func sizeOf(size int) asm.Size {
	switch size {
	case 1:
		return asm.Byte
	case 2:
		return asm.Half
	}
	return asm.Word
}

// later emits a jump to a place that is not known yet.
func (t *translator) later(ins asm.Instruction) int {
	t.emit(ins)
	return len(t.out) - 1
}

// land makes a jump lead to here. The distance is some instructions.
func (t *translator) land(at int) { t.out[at].Offset = int16(len(t.out) - at - 1) }

// The offsets of the members of struct __sk_buff.
const (
	skbLen         = 0
	skbVLANPresent = 20
	skbVLANTCI     = 24
)

func (t *translator) extension(n bpf.Extension) error {
	if t.access == Direct {
		switch n {
		case bpf.ExtLen:
			t.emit(asm.Mov.Reg(regA, regContext), asm.Sub.Reg(regA, regData))
			return nil
		case bpf.ExtVLANTag, bpf.ExtVLANTagPresent: // XDP sees packets before the tag is taken out
			t.emit(asm.Mov.Imm(regA, 0))
			return nil
		}
	}
	at, ok := map[bpf.Extension]int16{bpf.ExtLen: skbLen, bpf.ExtVLANTagPresent: skbVLANPresent, bpf.ExtVLANTag: skbVLANTCI}[n]
	if !ok {
		return fmt.Errorf("extension %d cannot be translated", n)
	}
	t.emit(asm.LoadMem(regA, regContext, at, asm.Word))
	return nil
}
