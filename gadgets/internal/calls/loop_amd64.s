// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

#include "go_asm.h"
#include "textflag.h"

// loop takes one step after the other, without end. A step is eight addresses: that of a word with a
// function's address, those of the words with six arguments, and that of the word for what the
// function returns.
TEXT loop<>(SB), NOSPLIT|NOFRAME, $0-0
	MOVQ $const_stepsAddress, BX // which functions leave alone

next:
	MOVQ 8(BX), DI
	MOVQ (DI), DI
	MOVQ 16(BX), SI
	MOVQ (SI), SI
	MOVQ 24(BX), DX
	MOVQ (DX), DX
	MOVQ 32(BX), CX
	MOVQ (CX), CX
	MOVQ 40(BX), R8
	MOVQ (R8), R8
	MOVQ 48(BX), R9
	MOVQ (R9), R9
	MOVQ 0(BX), AX
	MOVQ (AX), AX
	CALL AX
	MOVQ 56(BX), CX
	MOVQ AX, (CX)
	ADDQ $64, BX
	JMP  next

// func loopAddress() unsafe.Pointer
TEXT ·loopAddress(SB), NOSPLIT, $0-8
	LEAQ loop<>(SB), AX
	MOVQ AX, ret+0(FP)
	RET
