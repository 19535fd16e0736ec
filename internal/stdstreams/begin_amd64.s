// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

// begin asks for the flags of descriptor 1 (fcntl is system call 72, F_GETFD is 1) and goes on to where a Go program begins.
TEXT ·begin(SB),NOSPLIT|NOFRAME,$0
	MOVQ DX, R8
	MOVL $72, AX
	MOVL $1, DI
	MOVL $1, SI
	XORL DX, DX
	SYSCALL
	MOVQ AX, ·output(SB)
	MOVQ R8, DX
	JMP _rt0_amd64_linux(SB)
