// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package usdt

import (
	"debug/elf"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// MaxArgs is the number of arguments that a probe may have.
const MaxArgs = 12

// Kind is how an argument is found.
type Kind uint8

// The kinds of arguments, in the order of libbpf's enum __bpf_usdt_arg_type.
const (
	Const   Kind = iota // it is Value
	Reg                 // it is in the register
	Memory              // it is in memory, at the register's contents plus Value
	Indexed             // as Memory, with the contents of another register shifted by Shift added
)

// Arg says where an argument is when the probe fires.
type Arg struct {
	Kind   Kind
	Size   uint8 // 1, 2, 4 or 8 bytes
	Signed bool
	Value  int64
	// Reg and Index are offsets of registers in the kernel's struct pt_regs, in bytes.
	Reg, Index int16
	Shift      uint8
}

// machine is what the meaning of an argument's text depends on.
type machine struct {
	elf elf.Machine
	// where is the address of the probe's instruction.
	where uint64
	// variable returns the address of one of the program's variables.
	variable func(name string) (uint64, error)
}

var (
	errForm  = errors.New("this form is unknown")
	errFloat = errors.New("it is a floating-point number, and BPF programs cannot see those registers")
	errSize  = errors.New("its size is none of 1, 2, 4, 8")
)

// parseArgs reads the description of all arguments: "-4@%edi 8@-8(%rbp) 4@$5". A part in brackets may
// have spaces.
func parseArgs(text string, m *machine) ([]Arg, error) {
	var args []Arg
	for {
		text = strings.TrimLeft(text, " ")
		if text == "" {
			return args, nil
		}
		if len(args) == MaxArgs {
			return nil, fmt.Errorf("it has more than %d arguments", MaxArgs)
		}
		end := endOfArg(text)
		a, err := parseArg(text[:end], m)
		if err != nil {
			return nil, fmt.Errorf("argument %d, %.64q: %w", len(args)+1, text[:end], err)
		}
		args = append(args, *a)
		text = text[end:]
	}
}

func endOfArg(text string) int {
	depth := 0
	for i := range len(text) {
		switch text[i] {
		case '[', '(':
			depth++
		case ']', ')':
			depth--
		case ' ':
			if depth <= 0 {
				return i
			}
		}
	}
	return len(text)
}

// parseArg reads SIZE@OPERAND. The size is negative for signed numbers; without one it is a word.
func parseArg(text string, m *machine) (*Arg, error) {
	a := &Arg{Size: 8}
	operand := text
	if size, rest, ok := strings.Cut(text, "@"); ok {
		if strings.HasSuffix(size, "f") {
			return nil, errFloat
		}
		n, err := strconv.Atoi(size)
		if err != nil {
			return nil, errSize
		}
		a.Signed = n < 0
		if a.Size = uint8(max(n, -n)); max(n, -n) > 8 || a.Size == 0 || a.Size&(a.Size-1) != 0 {
			return nil, errSize
		}
		operand = rest
	}
	var err error
	switch m.elf {
	case elf.EM_X86_64, elf.EM_386:
		err = a.parseX86(operand, m)
	case elf.EM_AARCH64:
		err = a.parseARM64(operand)
	default:
		err = fmt.Errorf("arguments of programs for %s cannot be read", m.elf)
	}
	return a, err
}

// parseNumber reads a decimal, octal or hexadecimal number of 64 bits, signed or not.
func parseNumber(text string) (int64, bool) {
	n, err := strconv.ParseInt(text, 0, 64)
	if err == nil {
		return n, true
	}
	u, err := strconv.ParseUint(text, 0, 64)
	return int64(u), err == nil
}
