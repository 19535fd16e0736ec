// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package stacks

import (
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// The names of the functions.
const (
	functionID     = "gizmo_stackid"
	functionSample = "gizmo_stack_sample"
)

// The flags of bpf_get_stackid and of the helpers for rings, from linux/bpf.h.
const (
	flagSkip  = 0xff    // BPF_F_SKIP_FIELD_MASK
	flagUser  = 1 << 8  // BPF_F_USER_STACK
	flagFast  = 1 << 9  // BPF_F_FAST_STACK_CMP
	flagReuse = 1 << 10 // BPF_F_REUSE_STACKID

	ringNoWakeup    = 1
	ringForceWakeup = 2
	ringUnread      = 0 // BPF_RB_AVAIL_DATA
)

// The registers of the functions that a helper leaves as they are.
const (
	regContext = asm.R6
	regFlags   = asm.R7
	regRoom    = asm.R8
	regLength  = asm.R9
)

// key is where on the stack the key of a map is. It is all that the functions use of the stack, of which a program and its functions
// have 512 bytes.
const key = -4

// stackIDCode returns the function (context, map, flags) in place of bpf_get_stackid. It asks nothing of the map.
func stackIDCode(ringSize int32) asm.Instructions {
	a := newAssembler()
	a.note("bpf_get_stackid: flags")
	a.emit(asm.Mov.Reg(regContext, asm.R1), asm.Mov.Reg(regFlags, asm.R3),
		asm.And.Imm(asm.R3, ^(flagSkip|flagUser|flagFast|flagReuse)))
	a.jumpIf(asm.JNE, asm.R3, 0, "invalid")
	a.takeRoom(mapRooms, rooms)
	a.walk()
	a.hash()
	a.search()
	a.emit(asm.Add.Imm(regLength, recordBody))
	a.send(ringSize)
	a.remember()

	a.label("out")
	a.emit(asm.StoreImm(regRoom, roomBusy, 0, asm.Word), asm.Return())
	a.label("invalid")
	a.emit(asm.Mov.Imm(asm.R0, -int32(unix.EINVAL)), asm.Return())
	a.label("busy")
	a.lose(lostBusy, unix.EBUSY)
	a.emit(asm.Return())
	a.label("full")
	a.lose(lostFull, unix.ENOSPC)
	a.jump("out")
	a.label("exhausted")
	a.lose(lostExhausted, unix.EOVERFLOW)
	a.jump("out")
	return a.function(functionID)
}

// lookUp finds the element of an array; it goes on at label if there is none, which the kernel's check of the code considers possible.
func (a *assembler) lookUp(array string, index int32, label string) {
	a.emit(asm.StoreImm(asm.RFP, key, int64(index), asm.Word))
	a.lookUpKey(array, label)
}

// lookUpKey is lookUp for the index that is on the stack.
func (a *assembler) lookUpKey(array, label string) {
	a.emit(asm.LoadMapPtr(asm.R1, 0).WithReference(array),
		asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, key), asm.FnMapLookupElem.Call())
	a.jumpIf(asm.JEq, asm.R0, 0, label)
}

// takeRoom takes a room of this CPU that no other program has, or goes on at the label busy.
func (a *assembler) takeRoom(array string, n int) {
	a.note("take a room of this CPU")
	for i := range n {
		a.lookUp(array, int32(i), "busy")
		a.emit(asm.Mov.Reg(regRoom, asm.R0), asm.Mov.Imm(asm.R1, 1), atomic(asm.Xchg, regRoom, asm.R1, asm.Word))
		a.jumpIf(asm.JEq, asm.R1, 0, "taken")
	}
	a.jump("busy")
	a.label("taken")
}

// walk puts the stack into the room, and its length in bytes into a register.
func (a *assembler) walk() {
	a.note("bpf_get_stack")
	a.emit(asm.Mov.Reg(asm.R1, regContext),
		asm.Mov.Reg(asm.R2, regRoom), asm.Add.Imm(asm.R2, roomRecord+recordBody),
		asm.Mov.Imm(asm.R3, 8*maxDepth),
		asm.Mov.Reg(asm.R4, regFlags), asm.And.Imm(asm.R4, flagSkip|flagUser),
		asm.FnGetStack.Call(), asm.Mov.Reg(regLength, asm.R0))
	a.jumpIf(asm.JSGT, regLength, 0, "walked")
	a.jumpIf(asm.JNE, asm.R0, 0, "out")
	a.emit(asm.Mov.Imm(asm.R0, -int32(unix.EFAULT)))
	a.jump("out")
	a.label("walked")
}

// hash puts a hash of the stack and of its kind into the room and into R1, and the kind into the record. The hash is never 0.
func (a *assembler) hash() {
	a.note("hash the stack")
	a.lookUp(mapKeys, 0, "full")
	a.emit(asm.LoadMem(asm.R1, asm.R0, 0, asm.DWord), asm.LoadMem(asm.R2, asm.R0, 8, asm.DWord),
		asm.RSh.Imm(regFlags, 8), asm.And.Imm(regFlags, kindUser),
		asm.StoreMem(regRoom, roomRecord+recordKind, regFlags, asm.Word),
		asm.Xor.Reg(asm.R1, regFlags),
		// The copy is for the loop: what the kernel's check learns there about the length it must not learn about the original, or it
		// would check the rest for each length.
		asm.Mov.Reg(asm.R3, regLength), asm.And.Imm(asm.R3, 0x7ff),
		asm.Mov.Imm(asm.R4, 0))
	a.label("word")
	a.emit(asm.Mov.Reg(asm.R5, regRoom), asm.Add.Reg(asm.R5, asm.R4),
		asm.LoadMem(asm.R5, asm.R5, roomRecord+recordBody, asm.DWord), asm.Xor.Reg(asm.R1, asm.R5))
	for _, shift := range []int32{32, 29} {
		a.emit(asm.Mov.Reg(asm.R5, asm.R1), asm.RSh.Imm(asm.R5, shift), asm.Xor.Reg(asm.R1, asm.R5), asm.Mul.Reg(asm.R1, asm.R2))
	}
	a.emit(asm.Add.Imm(asm.R4, 8))
	a.jumpIfReg(asm.JGT, asm.R3, asm.R4, "word") // in this order: Linux 6.1 compares ranges with numbers, not numbers with ranges
	a.emit(asm.Mov.Reg(asm.R5, asm.R1), asm.RSh.Imm(asm.R5, 32), asm.Xor.Reg(asm.R1, asm.R5),
		asm.StoreMem(regRoom, roomHash, asm.R1, asm.DWord))
}

// The registers of search. It leaves in regSlot the address of the slot for a new stack: one that is empty, or the one with the
// lowest id, which is the oldest.
const (
	regSlot   = asm.R6
	regOffset = asm.R7 // of that slot
	regLowest = asm.R4 // the id there
	regMix    = asm.R5
)

// search ends the function with the id of the stack, if the stack has one.
func (a *assembler) search() {
	a.note("has the stack an id?")
	a.emit(asm.And.Imm(asm.R1, sets-1), asm.StoreMem(asm.RFP, key, asm.R1, asm.Word))
	a.lookUpKey(mapIDs, "full")
	a.emit(asm.LoadMem(asm.R1, regRoom, roomHash, asm.DWord), asm.LoadImm(regMix, slotMix, asm.DWord),
		asm.Mov.Imm(regOffset, 0), asm.LoadMem(regLowest, asm.R0, slotID, asm.DWord))
	for i := range ways {
		next, older := numbered("slot", i+1), numbered("older", i)
		at := int16(i * slotSize)
		a.emit(asm.LoadMem(asm.R2, asm.R0, at+slotID, asm.DWord))
		a.jumpIfReg(asm.JGE, asm.R2, regLowest, older)
		a.emit(asm.Mov.Reg(regLowest, asm.R2), asm.Mov.Imm(regOffset, int32(at)))
		a.label(older)
		a.jumpIf(asm.JEq, asm.R2, 0, next)
		a.emit(asm.Mov.Reg(asm.R3, asm.R2), asm.Mul.Reg(asm.R3, regMix), asm.Xor.Reg(asm.R3, asm.R1),
			asm.LoadMem(regSlot, asm.R0, at+slotKey, asm.DWord))
		a.jumpIfReg(asm.JNE, asm.R3, regSlot, next)
		a.emit(asm.Mov.Reg(asm.R0, asm.R2))
		a.jump("out")
		a.label(next)
	}
	a.emit(asm.Mov.Reg(regSlot, asm.R0), asm.Add.Reg(regSlot, regOffset))
}

func numbered(label string, i int) string { return label + string(rune('0'+i)) }

// send gives the record in the room, whose length is in regLength, the next id and puts it into the ring. Without room it goes on at
// the label full, without an id at exhausted. It changes R7.
func (a *assembler) send(ringSize int32) {
	a.note("is there room in the ring?")
	a.emit(asm.LoadMapPtr(asm.R1, 0).WithReference(mapRing), asm.Mov.Imm(asm.R2, ringUnread), asm.FnRingbufQuery.Call(),
		asm.Add.Reg(asm.R0, regLength), asm.Add.Imm(asm.R0, 16)) // the ring's own header, and what makes the length a multiple of 8
	a.jumpIf(asm.JGT, asm.R0, ringSize, "full")
	a.emit(asm.Mov.Imm(asm.R7, ringNoWakeup))
	a.jumpIf(asm.JLE, asm.R0, ringSize/4, "quiet")
	a.emit(asm.Mov.Imm(asm.R7, ringForceWakeup))
	a.label("quiet")
	a.note("the next id")
	a.lookUp(mapNext, 0, "full")
	a.emit(asm.Mov.Imm(asm.R1, 1), atomic(asm.FetchAdd, asm.R0, asm.R1, asm.DWord))
	a.jumpIf(asm.JGT, asm.R1, maxID, "exhausted")
	a.emit(asm.StoreMem(regRoom, roomRecord+recordID, asm.R1, asm.Word))
	a.note("send the stack")
	a.emit(asm.LoadMapPtr(asm.R1, 0).WithReference(mapRing),
		asm.Mov.Reg(asm.R2, regRoom), asm.Add.Imm(asm.R2, roomRecord),
		asm.Mov.Reg(asm.R3, regLength), asm.Mov.Reg(asm.R4, asm.R7), asm.FnRingbufOutput.Call())
	a.jumpIf(asm.JNE, asm.R0, 0, "full") // another program was faster, or holds the ring's lock
}

// remember writes the slot of a stack that was sent, and leaves the id in R0.
func (a *assembler) remember() {
	a.note("note the id")
	a.emit(asm.LoadMem(asm.R0, regRoom, roomRecord+recordID, asm.Word),
		asm.LoadMem(asm.R1, regRoom, roomHash, asm.DWord), asm.LoadImm(asm.R2, slotMix, asm.DWord),
		asm.Mul.Reg(asm.R2, asm.R0), asm.Xor.Reg(asm.R1, asm.R2),
		asm.StoreMem(regSlot, slotKey, asm.R1, asm.DWord), asm.StoreMem(regSlot, slotID, asm.R0, asm.DWord))
}

// lose counts a stack that is lost, and leaves the error in R0.
func (a *assembler) lose(counter int32, errno unix.Errno) {
	counted := numbered("counted", int(counter))
	a.lookUp(mapLost, counter, counted)
	a.emit(asm.Mov.Imm(asm.R1, 1), atomic(asm.AddAtomic, asm.R0, asm.R1, asm.DWord))
	a.label(counted)
	a.emit(asm.Mov.Imm(asm.R0, -int32(errno)))
}
