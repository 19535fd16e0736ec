/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef __TESTDATA_BPF_TRACING_H
#define __TESTDATA_BPF_TRACING_H

/* Newer ones include it by a path from their own folder. */
#include "bpf_helpers.h"
#include_next <bpf/bpf_tracing.h>

#define __PT_PARM6_REG here
#define __PT_PARM7_REG here
#define __PT_PARM8_REG here

#define PT_REGS_PARM6(...)		1
#define PT_REGS_PARM7(...)		1
#define PT_REGS_PARM8(...)		1
#define PT_REGS_PARM6_CORE(...)		1
#define PT_REGS_PARM7_CORE(...)		1
#define PT_REGS_PARM8_CORE(...)		1
#define PT_REGS_PARM6_SYSCALL(...)	1
#define PT_REGS_PARM7_SYSCALL(...)	1
#define PT_REGS_PARM6_CORE_SYSCALL(...) 1
#define PT_REGS_PARM7_CORE_SYSCALL(...) 1

#define ___bpf_kprobe_args6()  here
#define ___bpf_kprobe_args7()  here
#define ___bpf_kprobe_args8()  here
#define ___bpf_syscall_args6() here
#define ___bpf_syscall_args7() here
#define ___bpf_syswrap_args6() here
#define ___bpf_syswrap_args7() here

#define BPF_UPROBE()	here
#define BPF_URETPROBE() here

#endif
