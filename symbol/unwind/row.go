// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package unwind

// rowState says what the CFI knows about an address.
type rowState uint8

const (
	rowCovered   rowState = 1 + iota
	rowUncovered          // nothing: no function of the CFI has the address
	rowBroken             // something that the package cannot use
)

// row is what the unwinder keeps of the CFI for one address.
type row struct {
	rules
	state  rowState
	signal bool // the kernel made the frame for a signal handler
	used   uint8
	pool   [maxPool]byte // the expressions
}

// maxPool is the room for the expressions of a row. The frame of a signal handler has the most of all: 52 bytes in Debian's libc.
const maxPool = 96

// keep copies an expression into the row.
func (r *row) keep(of *rule, from *[2][]byte) bool {
	if of.kind != ruleExpression && of.kind != ruleSavedAt {
		return true
	}
	text := from[of.reg][of.value : int(of.value)+int(of.size)]
	if len(text) > maxPool-int(r.used) {
		return false
	}
	of.reg, of.value = 0, int32(r.used)
	r.used += uint8(copy(r.pool[r.used:], text))
	return true
}

// expression returns the text of a rule's expression.
func (r *row) expression(of *rule) []byte {
	return r.pool[of.value : int(of.value)+int(of.size)]
}

const (
	maxEntry  = 32 << 10 // bytes of a CIE or FDE; the largest on a Debian machine with 3,704 ELF files has 20,064
	readAhead = 512      // bytes to read of an FDE before its length is known
)

// rowReader makes rows from files. All its memory is reused.
type rowReader struct {
	interpreter
	scratch    [2048]byte
	cie, fde   []byte
	info       cie
	trampoline [signalReturnSize]byte
	stub       [jumpStubSize]byte
}

// read finds what the CFI of a table says about an address.
func (rr *rowReader) read(t *Table, addr uint64, r *row) {
	r.rules = rules{}
	r.used, r.signal = 0, false
	r.state = rr.find(t, addr, r)
}

func (rr *rowReader) find(t *Table, addr uint64, r *row) rowState {
	frame, found, readable := t.frame(addr, rr.scratch[:])
	if !readable {
		return rowBroken
	}
	if !found {
		return rowUncovered
	}
	body, ok := rr.entry(t, frame, &rr.fde)
	if !ok || len(body) < 4 {
		return rowBroken
	}
	c := cursor{b: body}
	back := c.unsigned(4)
	if back == 0 {
		return rowBroken // it is a CIE
	}
	common, ok := rr.entry(t, frame+4-back, &rr.cie)
	if !ok {
		return rowBroken
	}
	if rr.info, ok = parseCIE(common); !ok {
		return rowBroken
	}
	f, ok := parseFDE(body, frame+4, &rr.info)
	if !ok {
		return rowBroken
	}
	if addr < f.start || addr-f.start >= f.size {
		return rowUncovered
	}
	if !rr.run(&rr.info, &f, addr) {
		return rowBroken
	}
	return rr.finish(r, &[2][]byte{rr.info.instructions, f.instructions})
}

// finish copies the rules into a row.
func (rr *rowReader) finish(r *row, from *[2][]byte) rowState {
	r.rules, r.signal = rr.now, rr.info.signal
	if !r.keep(&r.cfa, from) {
		return rowBroken
	}
	for i := range r.regs {
		if !r.keep(&r.regs[i], from) {
			return rowBroken
		}
	}
	return rowCovered
}

// entry reads the CIE or FDE at an address, without its length, into a buffer that it makes larger if need be.
func (rr *rowReader) entry(t *Table, addr uint64, buffer *[]byte) ([]byte, bool) {
	off, left, ok := t.offset(addr)
	if !ok {
		return nil, false
	}
	size := min(left, readAhead)
	for {
		if uint64(cap(*buffer)) < size {
			*buffer = make([]byte, size)
		}
		b := (*buffer)[:size]
		if len(b) < 4 || !t.read(b, off) {
			return nil, false
		}
		if body := record(b); body != nil {
			return body, true
		}
		c := cursor{b: b}
		if size = 4 + c.unsigned(4); size > min(left, 4+maxEntry) || size <= uint64(len(b)) {
			return nil, false
		}
	}
}

// signalReturn makes a row of an uncovered address if a signal handler returns to the code there. The C library of Debian has CFI for
// that code; musl and Go have none.
func (rr *rowReader) signalReturn(t *Table, addr uint64, r *row) {
	off, left, ok := t.offset(addr)
	if !ok || left < signalReturnSize || !t.read(rr.trampoline[:], off) || !returnsFromSignal(&rr.trampoline) {
		return
	}
	r.rules = rules{cfa: rule{kind: ruleOffset, reg: RegisterSP}}
	for i, offset := range signalContext() {
		r.put(uint64(i), rule{kind: ruleSaved, value: offset})
	}
	r.state, r.signal = rowCovered, true
}

// jumpStub makes the row of code that was interrupted in a stub which only jumps to a function, as the linker makes for functions that are
// chosen when a static program starts. It has no CFI. Nothing is on the stack but the return address.
func (rr *rowReader) jumpStub(t *Table, addr uint64, r *row) {
	off, left, ok := t.offset(addr)
	if !ok || left < jumpStubSize || !t.read(rr.stub[:], off) || !jumps(&rr.stub) {
		return
	}
	r.rules = rules{cfa: rule{kind: ruleOffset, reg: RegisterSP, value: returnSize}}
	r.put(RegisterIP, rule{kind: ruleSaved, value: -returnSize})
	r.state = rowCovered
}
