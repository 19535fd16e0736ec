// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package cbpf translates filters of packets from classic BPF to functions of eBPF.
package cbpf

import (
	"errors"
	"fmt"
	"math"

	"github.com/cilium/ebpf/asm"
	"golang.org/x/net/bpf"
)

// Access is how a function reads a packet.
type Access uint8

// The ways to read a packet.
const (
	// Helper calls bpf_skb_load_bytes for each value.
	Helper Access = iota
	// Copy calls bpf_skb_load_bytes once for the first bytes, and for each value behind them. It needs Linux 5.12, for reading
	// the stack at an offset that is known only from the packet.
	Copy
	// Direct reads between data and data_end, which is all that there is for XDP.
	Direct
	// DirectOrHelper reads what lies before data_end, and calls bpf_skb_load_bytes for the rest.
	DirectOrHelper
)

// The registers of a function.
const (
	regContext = asm.R6 // in XDP: data_end, because the context is not needed
	regA       = asm.R7
	regX       = asm.R8
	regData    = asm.R9 // the beginning of the packet; with Copy the number of bytes that were copied
)

// The places on the function's stack. The words of scratch memory that the program uses are below.
const (
	stackEnd    = -8  // data_end
	stackLoaded = -16 // what was read
	// stackCopy is where a copy of the packet's first bytes begins, so that the fields of IP behind an Ethernet header, and behind
	// tags, are aligned: the verifier refuses other reads of more than a byte.
	copied    = 64
	stackCopy = stackLoaded - copied - 6
)

// maxDirect is the largest offset from data that the verifier follows.
const maxDirect = 0xffff - 64

// Translate returns a function (context, _, _, data, data_end) that returns 1 for the packets for which the program returns anything but 0,
// and 0 for others. The program is run as by its interpreters: a packet that is too short for a value is rejected, and so is one
// that makes the program divide by 0. Jumps are relative numbers, so functions can be joined. It refuses negative offsets, and extensions
// other than those for the length and the VLAN tag.
func Translate(program []bpf.Instruction, access Access) (asm.Instructions, error) {
	if err := check(program); err != nil {
		return nil, err
	}
	if access == Copy && countReads(program) < 2 {
		access = Helper // one call anyway
	}
	t := &translator{access: access, starts: make([]int, len(program)), scratch: scratchOf(program, access)}
	t.begin()
	reached := reachable(program)
	for i, ins := range program {
		t.starts[i] = len(t.out)
		if !reached[i] { // the verifier refuses what nothing leads to
			continue
		}
		if err := t.translate(i, ins); err != nil {
			return nil, fmt.Errorf("instruction %d: %w", i, err)
		}
	}
	t.rejectAt = len(t.out)
	if len(t.rejects) > 0 {
		t.emit(asm.Mov.Imm(asm.R0, 0), asm.Return())
	}
	return t.finish()
}

// check makes sure that the program ends, and stays within itself.
func check(program []bpf.Instruction) error {
	if _, err := bpf.Assemble(program); err != nil {
		return err
	}
	if len(program) == 0 {
		return errors.New("the program is empty")
	}
	for i := range program {
		for _, to := range next(program, i) {
			if to >= len(program) {
				return fmt.Errorf("instruction %d leads beyond the end of the program", i)
			}
		}
	}
	return nil
}

// next returns the instructions that may follow an instruction.
func next(program []bpf.Instruction, i int) []int {
	switch ins := program[i].(type) {
	case bpf.Jump:
		return []int{i + 1 + int(ins.Skip)}
	case bpf.JumpIf:
		return []int{i + 1 + int(ins.SkipTrue), i + 1 + int(ins.SkipFalse)}
	case bpf.JumpIfX:
		return []int{i + 1 + int(ins.SkipTrue), i + 1 + int(ins.SkipFalse)}
	case bpf.RetA, bpf.RetConstant:
		return nil
	}
	return []int{i + 1}
}

// reachable returns which instructions of a program, which has been checked, a run can reach.
func reachable(program []bpf.Instruction) []bool {
	reached := make([]bool, len(program))
	reached[0] = true
	for i := range program {
		if reached[i] {
			for _, to := range next(program, i) {
				reached[to] = true
			}
		}
	}
	return reached
}

// scratchOf returns the places on the stack of the words of scratch memory that the program uses.
func scratchOf(program []bpf.Instruction, access Access) map[int]int16 {
	places, below := make(map[int]int16), int16(stackLoaded)
	if access == Copy {
		below = stackCopy &^ 7
	}
	use := func(n int) {
		if _, ok := places[n]; !ok {
			places[n] = below - 4*int16(len(places)+1)
		}
	}
	for _, ins := range program {
		switch ins := ins.(type) {
		case bpf.LoadScratch:
			use(ins.N)
		case bpf.StoreScratch:
			use(ins.N)
		}
	}
	return places
}

// countReads returns how many instructions read the packet.
func countReads(program []bpf.Instruction) int {
	n := 0
	for _, ins := range program {
		switch ins.(type) {
		case bpf.LoadAbsolute, bpf.LoadIndirect, bpf.LoadMemShift:
			n++
		}
	}
	return n
}

type translator struct {
	access   Access
	out      asm.Instructions
	starts   []int // where the instructions of the program begin
	scratch  map[int]int16
	jumps    []jump
	rejects  []int // jumps to where the packet is rejected
	rejectAt int
}

// jump is a jump in out to an instruction of the program.
type jump struct{ at, to int }

func (t *translator) emit(all ...asm.Instruction) { t.out = append(t.out, all...) }

// emitJump emits a jump to an instruction of the program.
func (t *translator) emitJump(to int, ins asm.Instruction) {
	t.jumps = append(t.jumps, jump{len(t.out), to})
	t.emit(ins)
}

// emitReject emits a jump to where the packet is rejected.
func (t *translator) emitReject(ins asm.Instruction) {
	t.rejects = append(t.rejects, len(t.out))
	t.emit(ins)
}

// begin saves the arguments.
func (t *translator) begin() {
	switch t.access {
	case Direct:
		t.emit(asm.Mov.Reg(regData, asm.R4), asm.Mov.Reg(regContext, asm.R5))
	case DirectOrHelper:
		t.emit(asm.Mov.Reg(regContext, asm.R1), asm.Mov.Reg(regData, asm.R4), asm.StoreMem(asm.RFP, stackEnd, asm.R5, asm.DWord))
	default:
		t.emit(asm.Mov.Reg(regContext, asm.R1))
	}
	if t.access == Copy {
		t.copy()
	}
	t.emit(asm.Mov.Imm(regA, 0), asm.Mov.Imm(regX, 0))
	for n := range 16 {
		if place, ok := t.scratch[n]; ok {
			t.emit(asm.StoreMem(asm.RFP, place, regA, asm.Word))
		}
	}
}

// finish fills in the jumps.
func (t *translator) finish() (asm.Instructions, error) {
	for _, at := range t.rejects {
		if err := t.setJump(at, t.rejectAt); err != nil {
			return nil, err
		}
	}
	for _, j := range t.jumps {
		if err := t.setJump(j.at, t.starts[j.to]); err != nil {
			return nil, err
		}
	}
	return t.out, nil
}

func (t *translator) setJump(at, to int) error {
	distance := to - at - 1
	if distance > math.MaxInt16 {
		return errors.New("the program is too long for the jumps of eBPF")
	}
	t.out[at].Offset = int16(distance)
	return nil
}

func (t *translator) translate(i int, ins bpf.Instruction) error {
	switch ins := ins.(type) {
	case bpf.LoadConstant:
		t.emit(asm.Mov.Imm32(register(ins.Dst), int32(ins.Val)))
	case bpf.LoadScratch:
		t.emit(asm.LoadMem(register(ins.Dst), asm.RFP, t.scratch[ins.N], asm.Word))
	case bpf.StoreScratch:
		t.emit(asm.StoreMem(asm.RFP, t.scratch[ins.N], register(ins.Src), asm.Word))
	case bpf.LoadAbsolute:
		return t.load(regA, ins.Off, ins.Size)
	case bpf.LoadIndirect:
		return t.loadIndirect(ins.Off, ins.Size)
	case bpf.LoadMemShift:
		if err := t.load(regX, ins.Off, 1); err != nil {
			return err
		}
		t.emit(asm.And.Imm(regX, 0xf), asm.LSh.Imm(regX, 2))
	case bpf.LoadExtension:
		return t.extension(ins.Num)
	case bpf.ALUOpConstant:
		return t.calculate(ins.Op, ins.Val)
	case bpf.ALUOpX:
		t.calculateX(ins.Op)
	case bpf.NegateA:
		t.emit(asm.Neg.Imm32(regA, 0))
	case bpf.TAX:
		t.emit(asm.Mov.Reg(regX, regA))
	case bpf.TXA:
		t.emit(asm.Mov.Reg(regA, regX))
	case bpf.Jump:
		t.emitJump(i+1+int(ins.Skip), jumpTo(asm.Ja, 0, 0))
	case bpf.JumpIf:
		t.jumpIf(i, ins)
	case bpf.JumpIfX:
		t.branch(i, ins.Cond, jumpIfX, ins.SkipTrue, ins.SkipFalse)
	case bpf.RetConstant:
		t.emit(asm.Mov.Imm(asm.R0, boolean(ins.Val != 0)), asm.Return())
	case bpf.RetA:
		t.emit(asm.Mov.Imm(asm.R0, 1), jumpTo(asm.JNE, regA, 0), asm.Mov.Imm(asm.R0, 0), asm.Return())
		t.out[len(t.out)-3].Offset = 1
	default:
		return fmt.Errorf("%v cannot be translated", ins)
	}
	return nil
}
