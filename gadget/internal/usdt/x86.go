// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package usdt

import (
	"fmt"
	"math/bits"
	"strings"
)

// parseX86 reads an operand as the assembler writes it: $5, %rax, -8(%rbp), 8(%rax,%rbx,4),
// counter+4(%rip).
func (a *Arg) parseX86(text string, m *machine) error {
	switch {
	case text == "":
		return errForm
	case text[0] == '$':
		n, ok := parseNumber(text[1:])
		if !ok {
			return errForm
		}
		a.Kind, a.Value = Const, n
		return nil
	case text[0] == '%':
		a.Kind = Reg
		return a.registerX86(text)
	}
	return a.memoryX86(text, m)
}

// memoryX86 reads DISTANCE(REGISTERS) or the name of a variable.
func (a *Arg) memoryX86(text string, m *machine) error {
	distance, rest, indirect := strings.Cut(text, "(")
	registers, ok := strings.CutSuffix(rest, ")")
	if indirect && !ok {
		return errForm
	}
	number, variable, err := parseDistance(distance)
	if err != nil {
		return err
	}
	a.Value = number
	if variable != "" {
		if indirect && registers != "%rip" {
			return fmt.Errorf("%w: a variable with registers other than %%rip", errForm)
		}
		return a.variableX86(variable, m)
	}
	if !indirect {
		return errForm
	}
	return a.indirectX86(strings.Split(registers, ","))
}

// variableX86 finds a variable by its distance from the probe's instruction, which is the same wherever
// the program is loaded.
func (a *Arg) variableX86(name string, m *machine) error {
	addr, err := m.variable(name)
	if err != nil {
		return fmt.Errorf("the variable %s: %w", name, err)
	}
	a.Kind, a.Reg = Memory, x86IP
	a.Value += int64(addr - m.where)
	return nil
}

// indirectX86 reads BASE or BASE,INDEX or BASE,INDEX,SCALE.
func (a *Arg) indirectX86(registers []string) error {
	base, wide, _ := findX86(registers[0])
	if !wide || len(registers) > 3 {
		return fmt.Errorf("%w: it has no register to start from", errForm)
	}
	a.Kind, a.Reg = Memory, base
	if len(registers) == 1 {
		return nil
	}
	index, wide, _ := findX86(registers[1])
	if !wide {
		return errForm
	}
	a.Kind, a.Index = Indexed, index
	if len(registers) == 2 {
		return nil
	}
	scale, ok := parseNumber(registers[2])
	if !ok || scale != 1 && scale != 2 && scale != 4 && scale != 8 {
		return errForm
	}
	a.Shift = uint8(bits.TrailingZeros64(uint64(scale)))
	return nil
}

// parseDistance parses a sum of numbers and at most one name: -8, 4+8, counter-4.
func parseDistance(text string) (number int64, name string, err error) {
	for text != "" {
		sign := int64(1)
		switch text[0] {
		case '-':
			sign, text = -1, text[1:]
		case '+':
			text = text[1:]
		}
		end := strings.IndexAny(text, "+-")
		if end < 0 {
			end = len(text)
		}
		term := text[:end]
		text = text[end:]
		n, ok := parseNumber(term)
		switch {
		case ok:
			number += sign * n
		case term == "" || name != "" || sign < 0 || !isName(term):
			return 0, "", errForm
		default:
			name = term
		}
	}
	return number, name, nil
}

// isName reports whether the assembler reads the text as a plain symbol, without a relocation
// ("x@GOTPCREL") or a segment ("%fs:0").
func isName(text string) bool {
	for _, c := range text {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '.' || c == '$'
		if !letter {
			return false
		}
	}
	return text[0] < '0' || text[0] > '9'
}

// registerX86 reads a register, of which the argument may be a part.
func (a *Arg) registerX86(text string) error {
	off, _, ok := findX86(text)
	switch {
	case strings.HasPrefix(text, "%xmm"), strings.HasPrefix(text, "%ymm"), strings.HasPrefix(text, "%st"):
		return errFloat
	case !ok:
		return fmt.Errorf("there is no register %s", text)
	}
	a.Reg = off
	return nil
}

// registerNames are the names of a register and its parts: 8, 4, 2 and 1 byte, and the second byte.
type registerNames [5]string

// x86Names lists the registers in the order of struct pt_regs, eight bytes each
// (arch/x86/include/asm/ptrace.h). Registers that never hold an argument have no name here.
var x86Names = [...]registerNames{
	{"r15", "r15d", "r15w", "r15b"},
	{"r14", "r14d", "r14w", "r14b"},
	{"r13", "r13d", "r13w", "r13b"},
	{"r12", "r12d", "r12w", "r12b"},
	{"rbp", "ebp", "bp", "bpl"},
	{"rbx", "ebx", "bx", "bl", "bh"},
	{"r11", "r11d", "r11w", "r11b"},
	{"r10", "r10d", "r10w", "r10b"},
	{"r9", "r9d", "r9w", "r9b"},
	{"r8", "r8d", "r8w", "r8b"},
	{"rax", "eax", "ax", "al", "ah"},
	{"rcx", "ecx", "cx", "cl", "ch"},
	{"rdx", "edx", "dx", "dl", "dh"},
	{"rsi", "esi", "si", "sil"},
	{"rdi", "edi", "di", "dil"},
	{}, // orig_ax
	{"rip", "eip", "ip"},
	{}, // cs
	{}, // flags
	{"rsp", "esp", "sp", "spl"},
}

const x86IP = 16 * 8

// findX86 returns a register's offset in struct pt_regs, and whether it is wide enough for an address.
func findX86(text string) (off int16, wide, ok bool) {
	name, ok := strings.CutPrefix(text, "%")
	if !ok || name == "" {
		return 0, false, false
	}
	for i := range x86Names {
		for part, n := range x86Names[i] {
			if n != name {
				continue
			}
			off = int16(8 * i)
			if part == len(registerNames{})-1 {
				off++
			}
			return off, part < 2, true
		}
	}
	return 0, false, false
}
