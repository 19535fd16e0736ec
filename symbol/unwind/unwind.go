// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package unwind finds the callers of a program from its registers and a copy of its stack. It needs no frame pointers: the call frame
// information (CFI) in .eh_frame, which nearly all files have for exceptions, says where each function keeps what its caller needs.
package unwind

// Registers are the registers of a thread, as far as they are known, by the numbers that DWARF gives them.
type Registers struct {
	values [registerCount]uint64
	known  uint32
}

// Set sets a register. Numbers of other registers than the general ones and the instruction pointer are ignored.
func (r *Registers) Set(number int, value uint64) {
	if number >= 0 && number < registerCount {
		r.values[number] = value
		r.known |= 1 << number
	}
}

func (r *Registers) get(number uint64) (uint64, bool) {
	if number >= registerCount || r.known>>number&1 == 0 {
		return 0, false
	}
	return r.values[number], true
}

// Find finds the module that has an address in memory: its table, and the address in the file's own address space. It returns a nil table
// for code of no file, and ok = false if the address is in no executable mapping.
type Find func(addr uint64) (t *Table, fileAddress uint64, ok bool)

// Unwinder unwinds stacks. It keeps what it finds out about code, up to 4096 addresses, and with that the tables themselves. It is
// not for several goroutines at the same time.
type Unwinder struct {
	cache  cache
	reader rowReader
	eval   evaluator

	// The stack that is being unwound.
	registers Registers
	memory    memory
	framed    bool // the frame pointer is from the frame of code without CFI
}

// NewUnwinder returns an unwinder, which has 1.1 MB of memory.
func NewUnwinder() *Unwinder {
	return &Unwinder{}
}

// outcome of a step.
type outcome uint8

const (
	stepCaller outcome = iota // the registers are those of the caller
	stepSignal                // they are those of code that a signal interrupted
	stepEnd                   // there is no caller
	stepLost                  // there is one that cannot be found
)

// Unwind writes the address of each call of a stack to out, the innermost first, and returns their number: at least 1, unless out has no
// room. All but the first are return addresses, except those of code that a signal interrupted. stack is a copy of the memory from the
// stack pointer up. truncated says that there are more callers: out is full, the copy ends before the stack does, or an address is in no
// executable mapping; such an address is left out unless it is the first.
//
// Where a module has CFI, Unwind goes by it, elsewhere by frame pointers. Code that has neither uses the register for something else: mostly
// that leads nowhere and the stack is truncated, but it can lead to a caller's caller.
//
// Code that was not met before is read from its file. find must not call the unwinder.
func (u *Unwinder) Unwind(regs *Registers, stack []byte, find Find, out []uint64) (n int, truncated bool) {
	u.registers = *regs
	sp, ok := regs.get(RegisterSP)
	u.memory = memory{start: sp, b: stack}
	u.framed = false
	defer u.forget()
	if !ok {
		u.memory.b = nil
	}
	exact := uint64(0) // what to take from an address to get into the call
	for n < len(out) {
		pc := u.registers.values[RegisterIP]
		t, fileAddress, ok := find(pc - exact)
		if ok || n == 0 {
			out[n] = pc
			n++
		}
		if !ok {
			return n, true
		}
		switch u.step(t, fileAddress, exact) {
		case stepCaller:
			exact = 1
		case stepSignal:
			exact = 0
		case stepEnd:
			return n, false
		default:
			return n, true
		}
	}
	return n, true
}

// forget lets go of the caller's stack.
func (u *Unwinder) forget() { u.memory.b = nil }

// FollowsFramePointers says whether Unwind would find a stack's callers by frame pointers alone, because no address of it is in code with
// CFI, and all are in executable mappings. Then a stack that the kernel found by frame pointers is as good, and can be deeper
// than a copy of memory. addresses are those of such a stack, the innermost first.
func (u *Unwinder) FollowsFramePointers(addresses []uint64, find Find) bool {
	exact := uint64(0)
	for _, addr := range addresses {
		t, fileAddress, ok := find(addr - exact)
		if !ok || u.row(t, fileAddress, exact) != nil {
			return false
		}
		exact = 1
	}
	return len(addresses) > 0
}

// row returns what the CFI says; nil if it says nothing.
func (u *Unwinder) row(t *Table, fileAddress, exact uint64) *row {
	if t == nil {
		return nil
	}
	// Code that was interrupted has another key than a call just in front of it, because signalReturn looks behind the call.
	r, found := u.cache.get(t, fileAddress<<1|exact)
	if !found {
		u.reader.read(t, fileAddress, r)
		if r.state == rowUncovered {
			u.reader.signalReturn(t, fileAddress+exact, r)
		}
		if r.state == rowUncovered && exact == 0 {
			u.reader.jumpStub(t, fileAddress, r)
		}
	}
	if r.state == rowUncovered {
		return nil
	}
	return r
}

// step replaces the registers by those of the caller.
func (u *Unwinder) step(t *Table, fileAddress, exact uint64) outcome {
	r := u.row(t, fileAddress, exact)
	if r == nil {
		return u.stepFramePointer(t != nil && t.startsAt(fileAddress))
	}
	u.framed = false
	if r.state == rowBroken {
		return stepLost
	}
	if r.regs[RegisterIP].kind == ruleUndefined {
		return stepEnd
	}
	cfa, ok := u.value(r, &r.cfa, 0)
	if !ok {
		return stepLost
	}
	next := u.registers
	next.known &= keptRegisters
	next.Set(RegisterSP, cfa)
	for reg := range uint8(registerCount) {
		if r.set>>reg&1 != 0 {
			u.apply(r, reg, cfa, &next, exact == 0)
		}
	}
	pc, ok := next.get(RegisterIP)
	sp, known := next.get(RegisterSP)
	if !ok || !known {
		return stepLost
	}
	if pc == 0 {
		return stepEnd
	}
	// A return takes the return address from the stack. Only signals change to another stack.
	if !r.signal && sp <= u.registers.values[RegisterSP] {
		return stepLost
	}
	u.registers = next
	if r.signal {
		return stepSignal
	}
	return stepCaller
}

// apply finds the caller's value of a register. exact says that the code was interrupted and made no call.
func (u *Unwinder) apply(r *row, reg uint8, cfa uint64, next *Registers, exact bool) {
	of := &r.regs[reg]
	old, known := u.registers.get(uint64(reg))
	next.known &^= 1 << reg
	switch of.kind {
	case ruleSame:
		if known {
			next.Set(int(reg), old)
		}
	case ruleSaved:
		at := cfa + uint64(int64(of.value))
		if v, ok := u.memory.load(at); ok {
			next.Set(int(reg), v)
		} else if below := u.registers.values[RegisterSP] - at; exact && known && below > 0 && below <= redZone {
			// The end of a function took it from the stack already. Compilers say no more about it because what is just below the
			// stack pointer stays as it is; but no copy has that.
			next.Set(int(reg), old)
		}
	default:
		if v, ok := u.value(r, of, cfa); ok {
			next.Set(int(reg), v)
		}
	}
}

// value computes a rule that counts from the CFA; the CFA itself is one that counts from a register.
func (u *Unwinder) value(r *row, of *rule, cfa uint64) (uint64, bool) {
	state := machineState{registers: &u.registers, memory: &u.memory}
	isCFA := of == &r.cfa
	switch of.kind {
	case ruleOffset:
		if isCFA {
			v, ok := u.registers.get(uint64(of.reg))
			return v + uint64(int64(of.value)), ok
		}
		return cfa + uint64(int64(of.value)), true
	case ruleRegister:
		return u.registers.get(uint64(of.reg))
	case ruleExpression:
		if isCFA {
			return u.eval.evaluate(state, r.expression(of))
		}
		return u.eval.evaluateFrom(state, r.expression(of), cfa)
	case ruleSavedAt:
		at, ok := u.eval.evaluateFrom(state, r.expression(of), cfa)
		if !ok {
			return 0, false
		}
		return u.memory.load(at)
	}
	return 0, false
}

// stepFramePointer goes to the caller of code without CFI. start says that it is where the program starts.
func (u *Unwinder) stepFramePointer(start bool) outcome {
	bp, ok := u.registers.get(RegisterBP)
	if !ok {
		return stepLost
	}
	if bp == 0 {
		// That marks the outermost frame. But code that has no frame pointers may have a 0 in the register as well.
		if start || u.framed {
			return stepEnd
		}
		return stepLost
	}
	saved, ok1 := u.memory.load(bp)
	pc, ok2 := u.memory.load(bp + frameReturn)
	if !ok1 || !ok2 || bp%8 != 0 || bp < u.registers.values[RegisterSP] {
		return stepLost
	}
	if pc == 0 {
		if saved == 0 {
			return stepEnd
		}
		return stepLost
	}
	// The code may have saved and changed any other register.
	u.registers.known = 0
	u.registers.Set(RegisterBP, saved)
	u.registers.Set(RegisterSP, bp+frameSize)
	u.registers.Set(RegisterIP, pc)
	u.framed = true
	return stepCaller
}
