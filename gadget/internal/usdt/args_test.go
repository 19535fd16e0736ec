// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package usdt

import (
	"debug/elf"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// Where registers are in the kernel's struct pt_regs, as its headers say.
const (
	x86R15, x86BP, x86BX, x86R8, x86AX, x86CX, x86DI, x86SP = 0, 32, 40, 72, 80, 88, 112, 152
	armSP                                                   = 248
)

// The probe is at 0x1000; counter is at 0x4010.
func testMachine(m elf.Machine) *machine {
	return &machine{elf: m, where: 0x1000, variable: func(name string) (uint64, error) {
		if name == "counter" || name == "a.b$c" {
			return 0x4010, nil
		}
		return 0, errors.New("no symbol")
	}}
}

func TestX86(t *testing.T) {
	t.Parallel()
	tests := map[string]Arg{
		"8@%rax":                  {Kind: Reg, Size: 8, Reg: x86AX},
		"-4@%edi":                 {Kind: Reg, Size: 4, Signed: true, Reg: x86DI},
		"2@%cx":                   {Kind: Reg, Size: 2, Reg: x86CX},
		"-1@%bl":                  {Kind: Reg, Size: 1, Signed: true, Reg: x86BX},
		"1@%ah":                   {Kind: Reg, Size: 1, Reg: x86AX + 1},
		"1@%bpl":                  {Kind: Reg, Size: 1, Reg: x86BP},
		"4@%r8d":                  {Kind: Reg, Size: 4, Reg: x86R8},
		"1@%r15b":                 {Kind: Reg, Size: 1, Reg: x86R15},
		"%rax":                    {Kind: Reg, Size: 8, Reg: x86AX},
		"4@$5":                    {Kind: Const, Size: 4, Value: 5},
		"-4@$-9":                  {Kind: Const, Size: 4, Signed: true, Value: -9},
		"8@$0xffff":               {Kind: Const, Size: 8, Value: 0xffff},
		"8@$18446744073709551615": {Kind: Const, Size: 8, Value: -1},
		"8@-8(%rbp)":              {Kind: Memory, Size: 8, Reg: x86BP, Value: -8},
		"8@(%rsp)":                {Kind: Memory, Size: 8, Reg: x86SP},
		"4@0x10(%rsp)":            {Kind: Memory, Size: 4, Reg: x86SP, Value: 16},
		"4@8+4(%rsp)":             {Kind: Memory, Size: 4, Reg: x86SP, Value: 12},
		"4@-4+16(%rsp)":           {Kind: Memory, Size: 4, Reg: x86SP, Value: 12},
		"8@(%rax,%rbx)":           {Kind: Indexed, Size: 8, Reg: x86AX, Index: x86BX},
		"8@(%rax,%rbx,4)":         {Kind: Indexed, Size: 8, Reg: x86AX, Index: x86BX, Shift: 2},
		"1@-3(%rax,%r8,1)":        {Kind: Indexed, Size: 1, Reg: x86AX, Index: x86R8, Value: -3},
		"4@8(%ebp)":               {Kind: Memory, Size: 4, Reg: x86BP, Value: 8},
		"8@16(%rip)":              {Kind: Memory, Size: 8, Reg: x86IP, Value: 16},
		"-4@counter(%rip)":        {Kind: Memory, Size: 4, Signed: true, Reg: x86IP, Value: 0x3010},
		"4@counter+4(%rip)":       {Kind: Memory, Size: 4, Reg: x86IP, Value: 0x3014},
		"4@-4+counter(%rip)":      {Kind: Memory, Size: 4, Reg: x86IP, Value: 0x300c},
		"4@counter":               {Kind: Memory, Size: 4, Reg: x86IP, Value: 0x3010},
		"4@a.b$c":                 {Kind: Memory, Size: 4, Reg: x86IP, Value: 0x3010},
	}
	for text, want := range tests {
		got, err := parseArgs(text, testMachine(elf.EM_X86_64))
		if err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("%s: %+v, %v, want %+v", text, got, err, want)
		}
	}
}

func TestARM64(t *testing.T) {
	t.Parallel()
	tests := map[string]Arg{
		"8@x0":          {Kind: Reg, Size: 8},
		"-4@w19":        {Kind: Reg, Size: 4, Signed: true, Reg: 152},
		"8@x30":         {Kind: Reg, Size: 8, Reg: 240},
		"8@sp":          {Kind: Reg, Size: 8, Reg: armSP},
		"-4@[sp]":       {Kind: Memory, Size: 4, Signed: true, Reg: armSP},
		"-4@[sp, 12]":   {Kind: Memory, Size: 4, Signed: true, Reg: armSP, Value: 12},
		"8@[x29, #-16]": {Kind: Memory, Size: 8, Reg: 232, Value: -16},
		"8@[x29,-16]":   {Kind: Memory, Size: 8, Reg: 232, Value: -16},
		"-4@5":          {Kind: Const, Size: 4, Signed: true, Value: 5},
		"8@#-5":         {Kind: Const, Size: 8, Value: -5},
		"8@xzr":         {Kind: Const, Size: 8},
	}
	for text, want := range tests {
		got, err := parseArgs(text, testMachine(elf.EM_AARCH64))
		if err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("%s: %+v, %v, want %+v", text, got, err, want)
		}
	}
}

func TestSeveral(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text string
		m    elf.Machine
		want []Arg
	}{
		{"", elf.EM_X86_64, nil},
		{"  ", elf.EM_X86_64, nil},
		{"-4@%edi 8@-8(%rbp) 4@$5", elf.EM_X86_64, []Arg{
			{Kind: Reg, Size: 4, Signed: true, Reg: x86DI}, {Kind: Memory, Size: 8, Reg: x86BP, Value: -8}, {Kind: Const, Size: 4, Value: 5},
		}},
		{" 8@x0  -4@[sp, 12] 8@x1", elf.EM_AARCH64, []Arg{
			{Kind: Reg, Size: 8}, {Kind: Memory, Size: 4, Signed: true, Reg: armSP, Value: 12}, {Kind: Reg, Size: 8, Reg: 8},
		}},
	}
	for _, test := range tests {
		got, err := parseArgs(test.text, testMachine(test.m))
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %+v, %v, want %+v", test.text, got, err, test.want)
		}
	}
}

func TestNotArgs(t *testing.T) {
	t.Parallel()
	many := strings.Repeat("8@%rax ", MaxArgs+1)
	tests := []struct {
		text string
		m    elf.Machine
		want string
	}{
		{many, elf.EM_X86_64, "more than 12"},
		{"4@%eax @", elf.EM_X86_64, "argument 2"},
		{"3@%eax", elf.EM_X86_64, "size"},
		{"16@%eax", elf.EM_X86_64, "size"},
		{"0@%eax", elf.EM_X86_64, "size"},
		{"264@%eax", elf.EM_X86_64, "size"},
		{"-9223372036854775808@%eax", elf.EM_X86_64, "size"},
		{"x@%eax", elf.EM_X86_64, "size"},
		{"8f@%xmm0", elf.EM_X86_64, "floating"},
		{"8@%xmm1", elf.EM_X86_64, "floating"},
		{"8@%st(0)", elf.EM_X86_64, "floating"},
		{"4@", elf.EM_X86_64, "form"},
		{"4@$", elf.EM_X86_64, "form"},
		{"4@$x", elf.EM_X86_64, "form"},
		{"4@%nope", elf.EM_X86_64, "no register %nope"},
		{"4@%", elf.EM_X86_64, "no register"},
		{"4@%fs:0x28", elf.EM_X86_64, "no register"},
		{"4@(%rax", elf.EM_X86_64, "form"},
		{"4@()", elf.EM_X86_64, "form"},
		{"4@(,%rbx,4)", elf.EM_X86_64, "no register to start from"},
		{"4@(%al)", elf.EM_X86_64, "no register to start from"},
		{"4@(%rax,%bl)", elf.EM_X86_64, "form"},
		{"4@(%rax,%rbx,3)", elf.EM_X86_64, "form"},
		{"4@(%rax,%rbx,4,5)", elf.EM_X86_64, "form"},
		{"4@(%rax,%rbx,-1)", elf.EM_X86_64, "form"},
		{"4@1234", elf.EM_X86_64, "form"},
		{"4@8-(%rsp)", elf.EM_X86_64, "form"},
		{"4@-counter(%rip)", elf.EM_X86_64, "form"},
		{"4@counter+counter(%rip)", elf.EM_X86_64, "form"},
		{"4@counter(%rbx)", elf.EM_X86_64, "other than %rip"},
		{"4@counter@GOTPCREL(%rip)", elf.EM_X86_64, "form"},
		{"4@nothing(%rip)", elf.EM_X86_64, "no symbol"},
		{"8@x31", elf.EM_AARCH64, "no register"},
		{"8@x", elf.EM_AARCH64, "no register"},
		{"8@", elf.EM_AARCH64, "form"},
		{"8@d0", elf.EM_AARCH64, "floating"},
		{"8@[x0", elf.EM_AARCH64, "form"},
		{"8@[w0]", elf.EM_AARCH64, "cannot hold an address"},
		{"8@[x0, x1]", elf.EM_AARCH64, "form"},
		{"8@[x0, #:lo12:counter]", elf.EM_AARCH64, "form"},
		{"8@[]", elf.EM_AARCH64, "form"},
		{"8@%rax", elf.EM_S390, "cannot be read"},
	}
	for _, test := range tests {
		got, err := parseArgs(test.text, testMachine(test.m))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %+v, %v, want %q", test.text, got, err, test.want)
		}
	}
}

func FuzzArgs(f *testing.F) {
	f.Add("-4@%edi 8@-8(%rbp) 4@$5 8@(%rax,%rbx,4) -4@counter+4(%rip)", false)
	f.Add("8@x0 -4@[sp, 12] 8@xzr", true)
	f.Fuzz(func(t *testing.T, text string, arm bool) {
		m := elf.EM_X86_64
		if arm {
			m = elf.EM_AARCH64
		}
		args, err := parseArgs(text, testMachine(m))
		if err != nil {
			return
		}
		for _, a := range args {
			// The program reads eight bytes of the registers there, which are 168 bytes at least.
			if a.Reg < 0 || a.Reg > 31*8 || a.Index < 0 || a.Index > 31*8 || a.Shift > 3 || a.Kind > Indexed {
				t.Errorf("%q: %+v", text, a)
			}
			switch a.Size {
			case 1, 2, 4, 8:
			default:
				t.Errorf("%q: size %d", text, a.Size)
			}
		}
		if len(args) > MaxArgs {
			t.Errorf("%d arguments", len(args))
		}
	})
}
