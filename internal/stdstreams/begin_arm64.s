// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

// begin asks for the flags of descriptor 1 (fcntl is system call 25, F_GETFD is 1) and goes on to where a Go program begins.
TEXT ·begin(SB),NOSPLIT|NOFRAME,$0
	MOVD $25, R8
	MOVD $1, R0
	MOVD $1, R1
	MOVD $0, R2
	SVC
	MOVD R0, ·output(SB)
	JMP _rt0_arm64_linux(SB)
