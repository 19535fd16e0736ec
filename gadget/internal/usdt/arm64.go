// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package usdt

import (
	"fmt"
	"strconv"
	"strings"
)

// parseARM64 reads an operand as the assembler writes it: 5, x0, w3, [sp], [x29, -20], [x1, #8].
func (a *Arg) parseARM64(text string) error {
	if inside, ok := strings.CutPrefix(text, "["); ok {
		return a.memoryARM64(inside)
	}
	if n, ok := parseNumber(strings.TrimPrefix(text, "#")); ok {
		a.Kind, a.Value = Const, n
		return nil
	}
	if text == "xzr" || text == "wzr" {
		a.Kind = Const
		return nil
	}
	a.Kind = Reg
	return a.registerARM64(text)
}

func (a *Arg) memoryARM64(text string) error {
	inside, ok := strings.CutSuffix(text, "]")
	if !ok {
		return errForm
	}
	base, distance, far := strings.Cut(inside, ",")
	a.Kind = Memory
	base = strings.TrimSpace(base)
	if strings.HasPrefix(base, "w") {
		return fmt.Errorf("%w: %s cannot hold an address", errForm, base)
	}
	if err := a.registerARM64(base); err != nil || !far {
		return err
	}
	n, ok := parseNumber(strings.TrimPrefix(strings.TrimSpace(distance), "#"))
	if !ok {
		return errForm
	}
	a.Value = n
	return nil
}

// registerARM64 finds a register in struct user_pt_regs, with which the kernel's struct pt_regs begins:
// x0 to x30, sp, pc (arch/arm64/include/uapi/asm/ptrace.h).
func (a *Arg) registerARM64(text string) error {
	switch text {
	case "sp", "wsp":
		a.Reg = 31 * 8
		return nil
	case "":
		return errForm
	}
	n, err := strconv.ParseUint(text[1:], 10, 8)
	switch {
	case err == nil && strings.ContainsRune("vqdshb", rune(text[0])):
		return errFloat
	case err != nil || n > 30 || text[0] != 'x' && text[0] != 'w':
		return fmt.Errorf("there is no register %s", text)
	}
	a.Reg = int16(8 * n)
	return nil
}
