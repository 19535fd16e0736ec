// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package usdt

import (
	"debug/elf"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// MaxArgs is the number of arguments of a probe that programs can have. Others are only counted.
const MaxArgs = 12

// maxCount is the largest number of arguments that <bpf/usdt.bpf.h> can report to a program.
const maxCount = math.MaxInt16

// Kind is how an argument is found.
type Kind uint8

// The kinds of arguments, in the order of libbpf's enum __bpf_usdt_arg_type.
const (
	Const   Kind = iota // it is Value
	Reg                 // it is in the register
	Memory              // it is in memory, at the register's contents plus Value
	Indexed             // as Memory, with the contents of another register shifted by Shift added

	// Unreadable is for an argument that a program cannot have. <bpf/usdt.bpf.h> of no version knows this
	// kind, and bpf_usdt_arg returns -EINVAL for kinds that it does not know.
	Unreadable Kind = math.MaxUint8
)

// Args are the arguments of a probe.
type Args struct {
	First []Arg // the first MaxArgs of them
	Count int   // of all, maxCount at most
}

// Arg says where an argument is when the probe fires.
type Arg struct {
	Kind   Kind
	Size   uint8 // 1, 2, 4 or 8 bytes; 0 if it is Unreadable and the size is unknown
	Signed bool
	Value  int64
	// Reg and Index are offsets of registers in the kernel's struct pt_regs, in bytes.
	Reg, Index int16
	Shift      uint8
	// Why is the reason for which the argument is Unreadable. It names the argument.
	Why error
}

// machine holds the facts that the meaning of an argument's text depends on.
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

// parseArgs parses the description of all arguments: "-4@%edi 8@-8(%rbp) 4@$5". A part in brackets may
// have spaces. Arguments that it does not understand are Unreadable, so that no description keeps a program
// from being attached.
func parseArgs(text string, m *machine) Args {
	var args Args
	for args.Count < maxCount {
		text = strings.TrimLeft(text, " ")
		if text == "" {
			break
		}
		end := endOfArg(text)
		args.Count++
		if args.Count <= MaxArgs {
			a := parseArg(text[:end], m)
			if a.Why != nil {
				a.Why = fmt.Errorf("argument %d, %.64q: %w", args.Count, text[:end], a.Why)
			}
			args.First = append(args.First, a)
		}
		text = text[end:]
	}
	return args
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

// parseArg reads SIZE@OPERAND.
func parseArg(text string, m *machine) Arg {
	size, operand, ok := strings.Cut(text, "@")
	if !ok {
		size, operand = "", text
	}
	var a Arg
	err := a.parseSize(size, m)
	if err == nil {
		err = a.parseOperand(operand, m)
	}
	if err != nil {
		return Arg{Kind: Unreadable, Size: a.Size, Why: err}
	}
	return a
}

// parseSize parses a number of bytes, which is negative for signed numbers and followed by an f for
// floating-point ones. Without a number the size is a word.
func (a *Arg) parseSize(text string, m *machine) error {
	if text == "" {
		a.Size = m.word()
		return nil
	}
	text, float := strings.CutSuffix(text, "f")
	n, err := strconv.Atoi(text)
	switch size := max(n, -n); {
	case err != nil, size != 1 && size != 2 && size != 4 && size != 8:
		err = errSize
	default:
		a.Size, a.Signed = uint8(size), n < 0
	}
	if float {
		return errFloat
	}
	return err
}

// word is the number of bytes in one of the machine's registers.
func (m *machine) word() uint8 {
	if m.elf == elf.EM_386 {
		return 4
	}
	return 8
}

func (a *Arg) parseOperand(text string, m *machine) error {
	switch m.elf {
	case elf.EM_X86_64, elf.EM_386:
		return a.parseX86(text, m)
	case elf.EM_AARCH64:
		return a.parseARM64(text)
	}
	return fmt.Errorf("arguments of programs for %s cannot be read", m.elf)
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
