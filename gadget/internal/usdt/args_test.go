// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package usdt

import (
	"debug/elf"
	"errors"
	"slices"
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
		"@%rax":                   {Kind: Reg, Size: 8, Reg: x86AX},
		"8@$010":                  {Kind: Const, Size: 8, Value: 8},
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
		got := parseArgs(text, testMachine(elf.EM_X86_64))
		if got.Count != 1 || got.First[0] != want {
			t.Errorf("%s: %+v, want %+v", text, got, want)
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
		got := parseArgs(text, testMachine(elf.EM_AARCH64))
		if got.Count != 1 || got.First[0] != want {
			t.Errorf("%s: %+v, want %+v", text, got, want)
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
		got := parseArgs(test.text, testMachine(test.m))
		if got.Count != len(test.want) || !slices.Equal(got.First, test.want) {
			t.Errorf("%s: %+v, want %+v", test.text, got, test.want)
		}
	}
}

// An argument that is not understood is Unreadable, with the reason; the other arguments are parsed.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text string
		m    elf.Machine
		want string
	}{
		{"@", elf.EM_X86_64, "form"},
		{"4@%eax4@%ebx", elf.EM_X86_64, "no register"},
		{"3@%eax", elf.EM_X86_64, "size"},
		{"16@%eax", elf.EM_X86_64, "size"},
		{"0@%eax", elf.EM_X86_64, "size"},
		{"264@%eax", elf.EM_X86_64, "size"},
		{"-9223372036854775808@%eax", elf.EM_X86_64, "size"},
		{"x@%eax", elf.EM_X86_64, "size"},
		{"-@%eax", elf.EM_X86_64, "size"},
		{"f@%eax", elf.EM_X86_64, "floating"},
		{"16f@%xmm0", elf.EM_X86_64, "floating"},
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
		around := "8@$1"
		if test.m == elf.EM_AARCH64 {
			around = "8@1"
		}
		got := parseArgs(around+" "+test.text+" "+around, testMachine(test.m))
		if test.text == "4@(%rax" || test.text == "8@[x0" { // brackets that stay open have all that follows
			got.First, got.Count = append(got.First, got.First[0]), got.Count+1
		}
		switch a := got.First; {
		case got.Count != 3 || len(a) != 3:
			t.Errorf("%s: %+v", test.text, got)
		case test.m != elf.EM_S390 && (a[0] != a[2] || a[0] != Arg{Kind: Const, Size: 8, Value: 1}):
			t.Errorf("%s: what stands around it: %+v", test.text, got)
		case a[1].Kind != Unreadable || a[1].Why == nil || a[1].Signed || a[1].Reg != 0 || a[1].Value != 0:
			t.Errorf("%s: %+v", test.text, a[1])
		case !strings.Contains(a[1].Why.Error(), test.want) || !strings.Contains(a[1].Why.Error(), "argument 2"):
			t.Errorf("%s: %v, want %q", test.text, a[1].Why, test.want)
		}
	}
}

// Programs get the sizes of arguments even if they cannot read the arguments.
func TestSizes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]uint8{
		"8f@%xmm0": 8, "-4@%fs:0": 4, "%fs:0": 8, "16@%rax": 0, "3@%rax": 0, "x@%rax": 0,
	} {
		if a := parseArgs(text, testMachine(elf.EM_X86_64)).First[0]; a.Size != want || a.Why == nil {
			t.Errorf("%s: %+v, want size %d", text, a, want)
		}
	}
	if a := parseArgs("%eax", testMachine(elf.EM_386)).First[0]; a.Size != 4 || a.Why != nil {
		t.Errorf("a word of a 32-bit program: %+v", a)
	}
}

func TestManyArgs(t *testing.T) {
	t.Parallel()
	for _, n := range []int{MaxArgs, MaxArgs + 1, 1000, maxCount, maxCount + 1} {
		got := parseArgs(strings.Repeat("4@%eax ", n), testMachine(elf.EM_X86_64))
		if got.Count != min(n, maxCount) || len(got.First) != MaxArgs {
			t.Errorf("%d arguments: %d and %d", n, got.Count, len(got.First))
		}
	}
}

func FuzzArgs(f *testing.F) {
	f.Add("-4@%edi 8@-8(%rbp) 4@$5 8@(%rax,%rbx,4) -4@counter+4(%rip)", false)
	f.Add("8@x0 -4@[sp, 12] 8@xzr", true)
	f.Add("8f@%xmm0 8@%fs:0 @%r9 no (at all", false)
	f.Fuzz(func(t *testing.T, text string, arm bool) {
		m := elf.EM_X86_64
		if arm {
			m = elf.EM_AARCH64
		}
		args := parseArgs(text, testMachine(m))
		for _, a := range args.First {
			if (a.Kind == Unreadable) != (a.Why != nil) {
				t.Errorf("%q: %+v", text, a)
			}
			// The program reads eight bytes of the registers there, which are 168 bytes at least.
			if a.Reg < 0 || a.Reg > 31*8 || a.Index < 0 || a.Index > 31*8 || a.Shift > 3 || a.Kind > Indexed && a.Kind != Unreadable {
				t.Errorf("%q: %+v", text, a)
			}
			switch a.Size {
			case 1, 2, 4, 8:
			case 0:
				if a.Kind != Unreadable {
					t.Errorf("%q: no size: %+v", text, a)
				}
			default:
				t.Errorf("%q: size %d", text, a.Size)
			}
		}
		if len(args.First) != min(args.Count, MaxArgs) || args.Count > maxCount {
			t.Errorf("%d and %d arguments", len(args.First), args.Count)
		}
	})
}
