// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package idle

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// jump is a conditional jump over some instructions, as an object has it.
func jump(op asm.JumpOp, dst asm.Register, than int64, over int16) asm.Instruction {
	return asm.Instruction{OpCode: op.Op(asm.ImmSource), Dst: dst, Constant: than, Offset: over}
}

func jump32(op asm.JumpOp, dst asm.Register, than int64, over int16) asm.Instruction {
	ins := jump(op, dst, than, over)
	ins.OpCode = ins.OpCode&^7 | asm.OpCode(asm.Jump32Class)
	return ins
}

func always(over int16) asm.Instruction {
	return asm.Instruction{OpCode: asm.OpCode(asm.JumpClass), Offset: over}
}

// address loads the address of an offset in the section of constants.
func address(dst asm.Register, off int64) asm.Instruction {
	ins := asm.Instruction{OpCode: asm.LoadImmOp(asm.DWord), Dst: dst, Src: asm.PseudoMapValue, Constant: off << 32}
	return ins.WithReference(".rodata")
}

// The constants that the programs of tests have.
func testSpec(code asm.Instructions) *ebpf.CollectionSpec {
	return &ebpf.CollectionSpec{
		Programs: map[string]*ebpf.ProgramSpec{"p": {Instructions: code}},
		Variables: map[string]*ebpf.VariableSpec{
			"off":   {Name: "off", SectionName: ".rodata", Offset: 0, Value: []byte{0}},
			"on":    {Name: "on", SectionName: ".rodata", Offset: 1, Value: []byte{1}},
			"minus": {Name: "minus", SectionName: ".rodata", Offset: 4, Value: []byte{0xfe, 0xff, 0xff, 0xff}},
			"late":  {Name: "late", SectionName: ".rodata", Offset: 8, Value: []byte{0}},
			"other": {Name: "other", SectionName: ".kconfig", Offset: 0, Value: []byte{0}},
			"plain": {Name: "plain", SectionName: ".data", Offset: 0, Value: []byte{0}},
		},
	}
}

func find(code asm.Instructions) (Answer, []string) {
	return New(testSpec(code), func(name string) bool { return name == "late" }).Find("p")
}

// The parts that the programs of the tests are put together from.
var (
	zero  = asm.Mov.Imm(asm.R0, 0)
	end   = asm.Return()
	call  = asm.FnKtimeGetNs.Call()
	store = asm.StoreMem(asm.R6, 0, asm.R0, asm.DWord)
	input = asm.LoadMem(asm.R3, asm.R1, 8, asm.Word)
)

func TestFind(t *testing.T) {
	t.Parallel()
	read := func(off int64, size asm.Size) asm.Instructions {
		return asm.Instructions{address(asm.R2, off), asm.LoadMem(asm.R2, asm.R2, 0, size)}
	}
	for name, c := range map[string]struct {
		code  asm.Instructions
		want  Answer
		reads []string
	}{
		"nothing":              {asm.Instructions{zero, end}, Zero, nil},
		"one":                  {asm.Instructions{asm.Mov.Imm(asm.R0, 1), end}, Any, nil},
		"minus one in 32 bits": {asm.Instructions{asm.Mov.Imm32(asm.R0, -1), end}, Any, nil},
		"its input":            {asm.Instructions{asm.LoadMem(asm.R0, asm.R1, 0, asm.Word), end}, Any, nil},
		"its stack":            {asm.Instructions{zero, asm.StoreMem(asm.RFP, -8, asm.R0, asm.DWord), end}, Zero, nil},
		"its stack, elsewhere": {asm.Instructions{
			zero, asm.Mov.Reg(asm.R6, asm.RFP), asm.Add.Imm(asm.R6, -16), store, end,
		}, Zero, nil},
		"a store": {asm.Instructions{asm.Mov.Reg(asm.R6, asm.R1), zero, store, end}, Busy, nil},
		"an atomic addition": {asm.Instructions{
			zero, asm.Mov.Reg(asm.R6, asm.RFP), asm.AddAtomic.Mem(asm.R6, asm.R0, asm.DWord, -8), end,
		}, Busy, nil},
		"a call":            {asm.Instructions{call, zero, end}, Busy, nil},
		"no end":            {asm.Instructions{zero}, Busy, nil},
		"a loop":            {asm.Instructions{zero, always(-1)}, Busy, nil},
		"out of the code":   {asm.Instructions{zero, always(-7), end}, Busy, nil},
		"into a long one":   {asm.Instructions{zero, always(1), address(asm.R2, 0), end}, Busy, nil},
		"over a call":       {asm.Instructions{zero, always(1), call, end}, Zero, nil},
		"switched off":      {slices.Concat(read(0, asm.Byte), asm.Instructions{zero, jump(asm.JEq, asm.R2, 0, 1), call, end}), Zero, []string{"off"}},
		"switched off, too": {slices.Concat(read(0, asm.Byte), asm.Instructions{zero, jump(asm.JNE, asm.R2, 0, 1), end, call, end}), Zero, []string{"off"}},
		"switched on":       {slices.Concat(read(1, asm.Byte), asm.Instructions{zero, jump(asm.JEq, asm.R2, 0, 1), call, end}), Busy, nil},
		"two switches": {slices.Concat(
			read(0, asm.Byte), asm.Instructions{zero, jump(asm.JNE, asm.R2, 0, 4)},
			read(1, asm.Byte), asm.Instructions{jump(asm.JEq, asm.R2, 0, 0), end, call, end},
		), Zero, []string{"off", "on"}},
		"set while it is loaded": {slices.Concat(read(8, asm.Byte), asm.Instructions{zero, jump(asm.JEq, asm.R2, 0, 1), call, end}), Busy, nil},
		"beyond the constants":   {slices.Concat(read(40, asm.Byte), asm.Instructions{zero, jump(asm.JEq, asm.R2, 0, 1), call, end}), Busy, nil},
		"half a constant":        {slices.Concat(read(6, asm.Word), asm.Instructions{zero, jump(asm.JEq, asm.R2, 0, 1), call, end}), Busy, nil},
		"either way nothing":     {asm.Instructions{zero, input, jump(asm.JGT, asm.R3, 5, 1), asm.Mov.Imm(asm.R4, 1), end}, Zero, nil},
		"one way is a call":      {asm.Instructions{zero, input, jump(asm.JGT, asm.R3, 5, 1), call, end}, Busy, nil},
		"one way is not 0":       {asm.Instructions{zero, input, jump(asm.JGT, asm.R3, 5, 1), asm.Mov.Imm(asm.R0, 1), end}, Any, nil},
		"signed": {slices.Concat(read(4, asm.Word), asm.Instructions{
			zero, jump32(asm.JSLT, asm.R2, 0, 1), call, end,
		}), Zero, []string{"minus"}},
		"unsigned": {slices.Concat(read(4, asm.Word), asm.Instructions{
			zero, jump32(asm.JGT, asm.R2, 5, 1), call, end,
		}), Zero, []string{"minus"}},
		"64 bits are not signed": {slices.Concat(read(4, asm.Word), asm.Instructions{
			zero, jump(asm.JSLT, asm.R2, 0, 1), end, call, end,
		}), Zero, []string{"minus"}},
		"a bit of it": {slices.Concat(read(1, asm.Byte), asm.Instructions{
			asm.And.Imm(asm.R2, 2), zero, jump(asm.JEq, asm.R2, 0, 1), call, end,
		}), Zero, []string{"on"}},
	} {
		got, reads := find(c.code)
		if got != c.want || !slices.Equal(reads, c.reads) {
			t.Errorf("%s: got %d, %q; want %d, %q", name, got, reads, c.want, c.reads)
		}
	}
}

// Many ways, none of which does anything, are given up after a while.
func TestManyWays(t *testing.T) {
	t.Parallel()
	code := asm.Instructions{zero, input}
	for range 40 {
		code = append(code, jump(asm.JGT, asm.R3, 5, 1), asm.Mov.Imm(asm.R4, 1))
	}
	if got, _ := find(append(code, end)); got != Busy {
		t.Errorf("got %d", got)
	}
}

func TestArithmetic(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		op         asm.ALUOp
		a, b       uint64
		want, half uint64
	}{
		{asm.Add, 1<<32 - 1, 2, 1<<32 + 1, 1},
		{asm.Sub, 1, 2, ^uint64(0), 1<<32 - 1},
		{asm.And, 0xf0f, 0xff, 0x0f, 0x0f},
		{asm.Or, 1 << 40, 1, 1<<40 | 1, 1},
		{asm.Xor, 3, 1, 2, 2},
		{asm.LSh, 1, 31, 1 << 31, 1 << 31},
		{asm.LSh, 1, 33, 1 << 33, 2},
		{asm.RSh, 1 << 33, 1, 1 << 32, 0},
		{asm.ArSh, 1<<64 - 8, 1, 1<<64 - 4, 1<<32 - 4},
	} {
		wide, ok1 := arithmetic(c.op, c.a, c.b, true)
		half, ok2 := arithmetic(c.op, c.a, c.b, false)
		if !ok1 || !ok2 || wide != c.want || half != c.half {
			t.Errorf("%v of %#x and %#x: got %#x, %#x", c.op, c.a, c.b, wide, half)
		}
	}
	if _, ok := arithmetic(asm.Div, 1, 1, true); ok {
		t.Error("it divides")
	}
}

// Whatever the instructions are, following them ends.
func FuzzFind(f *testing.F) {
	for _, code := range []asm.Instructions{
		{zero, end}, {zero, always(-1)}, {address(asm.R2, 0), asm.LoadMem(asm.R2, asm.R2, 0, asm.Byte), jump(asm.JEq, asm.R2, 0, 1), call, end},
	} {
		var raw bytes.Buffer
		for i := range code {
			code[i] = asm.Instruction{OpCode: code[i].OpCode, Dst: code[i].Dst, Src: code[i].Src, Offset: code[i].Offset, Constant: code[i].Constant}
		}
		if err := code.Marshal(&raw, binary.LittleEndian); err != nil {
			f.Fatal(err)
		}
		f.Add(raw.Bytes())
	}
	f.Fuzz(func(_ *testing.T, raw []byte) {
		code, err := asm.AppendInstructions(nil, bytes.NewReader(raw), binary.LittleEndian, "linux")
		if err == nil {
			find(code)
		}
	})
}
