// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

#include "go_asm.h"
#include "textflag.h"

// loop takes one step after the other, without end. A step is eight addresses: that of a word with a
// function's address, those of the words with six arguments, and that of the word for what the
// function returns.
TEXT loop<>(SB), NOSPLIT|NOFRAME, $0-0
	MOVD $const_stepsAddress, R19 // which functions leave alone

next:
	MOVD 8(R19), R0
	MOVD (R0), R0
	MOVD 16(R19), R1
	MOVD (R1), R1
	MOVD 24(R19), R2
	MOVD (R2), R2
	MOVD 32(R19), R3
	MOVD (R3), R3
	MOVD 40(R19), R4
	MOVD (R4), R4
	MOVD 48(R19), R5
	MOVD (R5), R5
	MOVD 0(R19), R9
	MOVD (R9), R9
	BL   (R9)
	MOVD 56(R19), R9
	MOVD R0, (R9)
	ADD  $64, R19
	B    next

// func loopAddress() unsafe.Pointer
TEXT ·loopAddress(SB), NOSPLIT, $0-8
	MOVD $loop<>(SB), R0
	MOVD R0, ret+0(FP)
	RET
