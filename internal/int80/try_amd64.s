// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

#define SYS_rt_sigaction 13
#define SYS_getpid	 39
#define SYS_clone	 56
#define SYS_prctl	 157
#define SYS_exit_group	 231
#define PR_SET_DUMPABLE	 4
#define NR32_getpid	 20

// What the kernel may send because of the call gets its default action: Go's handlers are not for a
// process that has one thread of many.
#define DEFAULT_ACTION(sig) \
	MOVQ $SYS_rt_sigaction, AX; \
	MOVQ $sig, DI; \
	LEAQ action-32(SP), SI; \
	MOVQ $0, DX; \
	MOVQ $8, R10; \
	SYSCALL

// func startTrial() (pid int)
TEXT ·startTrial(SB), NOSPLIT, $32-8
	MOVQ $SYS_clone, AX
	MOVQ $0, DI // a copy of this process, of whose end no signal tells
	MOVQ $0, SI
	MOVQ $0, DX
	MOVQ $0, R10
	MOVQ $0, R8
	SYSCALL
	TESTQ AX, AX
	JZ   child
	MOVQ AX, pid+0(FP)
	RET

child:
	MOVQ $SYS_prctl, AX // no file with its memory if it is killed
	MOVQ $PR_SET_DUMPABLE, DI
	MOVQ $0, SI
	SYSCALL
	MOVQ $0, action-32(SP) // SIG_DFL, no flags, no restorer, no mask
	MOVQ $0, action-24(SP)
	MOVQ $0, action-16(SP)
	MOVQ $0, action-8(SP)
	DEFAULT_ACTION(4)  // SIGILL
	DEFAULT_ACTION(7)  // SIGBUS
	DEFAULT_ACTION(11) // SIGSEGV
	DEFAULT_ACTION(31) // SIGSYS
	MOVQ $NR32_getpid, AX
	INT  $0x80
	MOVL AX, R12
	MOVQ $SYS_getpid, AX
	SYSCALL
	XORQ R12, AX // 0 if both are the same
	XORQ DI, DI
	TESTQ AX, AX
	JZ   exit
	MOVQ $1, DI

exit:
	MOVQ $SYS_exit_group, AX
	SYSCALL
	INT  $3
