// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cbpf

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/bpf"
)

func TestRefused(t *testing.T) {
	t.Parallel()
	end := bpf.RetConstant{Val: 1}
	for _, c := range []struct {
		program []bpf.Instruction
		want    string
	}{
		{nil, "the program is empty"},
		{[]bpf.Instruction{bpf.TAX{}}, "instruction 0 leads beyond the end"},
		{[]bpf.Instruction{bpf.Jump{Skip: 1}, end}, "instruction 0 leads beyond the end"},
		{[]bpf.Instruction{bpf.JumpIf{SkipTrue: 1}, end}, "instruction 0 leads beyond the end"},
		{[]bpf.Instruction{bpf.JumpIfX{SkipFalse: 7}, end}, "instruction 0 leads beyond the end"},
		{[]bpf.Instruction{bpf.LoadAbsolute{Off: 1 << 31, Size: 1}, end}, "instruction 0: the offset is negative"},
		{[]bpf.Instruction{bpf.LoadIndirect{Off: 1<<32 - 1, Size: 1}, end}, "instruction 0: the offset is negative"},
		{[]bpf.Instruction{bpf.LoadMemShift{Off: 1 << 31}, end}, "instruction 0: the offset is negative"},
		{[]bpf.Instruction{bpf.ALUOpConstant{Op: bpf.ALUOpDiv}, end}, "instruction 0: division by zero"},
		{[]bpf.Instruction{bpf.ALUOpConstant{Op: bpf.ALUOpMod}, end}, "instruction 0: division by zero"},
		{[]bpf.Instruction{bpf.LoadExtension{Num: bpf.ExtRand}, end}, "cannot be translated"},
		{[]bpf.Instruction{bpf.RawInstruction{Op: 0xff}, end}, "cannot be translated"},
	} {
		for access := Helper; access <= DirectOrHelper; access++ {
			if _, err := Translate(c.program, access); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%.3v: got %v, want something with %q", c.program, err, c.want)
			}
		}
	}
}

// A program may have so many instructions that those of eBPF cannot jump over it.
func TestTooLong(t *testing.T) {
	t.Parallel()
	program := []bpf.Instruction{bpf.LoadAbsolute{Off: 12, Size: 2}}
	program = append(program, slices.Repeat([]bpf.Instruction{bpf.LoadIndirect{Size: 4}}, 4000)...)
	program = append(program, bpf.RetA{})
	if _, err := Translate(program, DirectOrHelper); err == nil || !strings.Contains(err.Error(), "too long for the jumps") {
		t.Errorf("got %v", err)
	}
}

// Translate does not panic, and its jumps stay within the function.
func FuzzTranslate(f *testing.F) {
	f.Add([]byte{0x28, 0, 0, 0, 12, 0, 0, 0, 0x15, 0, 0, 1, 0, 8, 0, 0, 6, 0, 0, 0, 1, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		var program []bpf.Instruction
		for ; len(data) >= 8; data = data[8:] {
			program = append(program, bpf.RawInstruction{
				Op: binary.LittleEndian.Uint16(data), Jt: data[2], Jf: data[3], K: binary.LittleEndian.Uint32(data[4:]),
			}.Disassemble())
		}
		for access := Helper; access <= DirectOrHelper; access++ {
			code, err := Translate(program, access)
			if err != nil {
				continue
			}
			for i := range code {
				if to := i + 1 + int(code[i].Offset); code[i].OpCode.Class().IsJump() && (to < 0 || to > len(code)) {
					t.Errorf("%v: instruction %d leads to %d of %d", program, i, to, len(code))
				}
			}
		}
	})
}
