/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef __GADGET_COMPAT_BPF_TRACING_H
#define __GADGET_COMPAT_BPF_TRACING_H

/*
 * Additions of libbpf's <bpf/bpf_tracing.h> since version 1.1, where the system's
 * header lacks them: the arguments after the fifth, and names for uprobes.  All are of 1.2.
 */

#include <bpf/bpf_helpers.h>
#include_next <bpf/bpf_tracing.h>

/*
 * The registers of the arguments that 1.1 leaves out.  A 64-bit x86 passes six in
 * registers, arm64 eight; system calls have six on both.
 */
#ifndef __PT_PARM6_REG

#if defined(bpf_target_x86)
#define __PT_PARM6_REG r9
#elif defined(bpf_target_arm64)
#define __PT_PARM6_REG regs[5]
#define __PT_PARM7_REG regs[6]
#define __PT_PARM8_REG regs[7]
#else
#define __PT_PARM6_REG __unsupported__
#endif

#ifndef __PT_PARM7_REG
#define __PT_PARM7_REG __unsupported__
#endif
#ifndef __PT_PARM8_REG
#define __PT_PARM8_REG __unsupported__
#endif

#endif /* !__PT_PARM6_REG */

/* Arguments of the function that a program is attached to. */
#ifndef PT_REGS_PARM6
#define PT_REGS_PARM6(x)      (__PT_REGS_CAST(x)->__PT_PARM6_REG)
#define PT_REGS_PARM6_CORE(x) BPF_CORE_READ(__PT_REGS_CAST(x), __PT_PARM6_REG)
#endif
#ifndef PT_REGS_PARM7
#define PT_REGS_PARM7(x)      (__PT_REGS_CAST(x)->__PT_PARM7_REG)
#define PT_REGS_PARM7_CORE(x) BPF_CORE_READ(__PT_REGS_CAST(x), __PT_PARM7_REG)
#endif
#ifndef PT_REGS_PARM8
#define PT_REGS_PARM8(x)      (__PT_REGS_CAST(x)->__PT_PARM8_REG)
#define PT_REGS_PARM8_CORE(x) BPF_CORE_READ(__PT_REGS_CAST(x), __PT_PARM8_REG)
#endif

/* Arguments of a system call. */
#ifndef PT_REGS_PARM6_SYSCALL
#define PT_REGS_PARM6_SYSCALL(x)      PT_REGS_PARM6(x)
#define PT_REGS_PARM6_CORE_SYSCALL(x) PT_REGS_PARM6_CORE(x)
#endif
#ifndef PT_REGS_PARM7_SYSCALL
#define PT_REGS_PARM7_SYSCALL(x) (__PT_REGS_CAST(x)->__unsupported__)
#define PT_REGS_PARM7_CORE_SYSCALL(x) \
	BPF_CORE_READ(__PT_REGS_CAST(x), __unsupported__)
#endif

/*
 * The macros for whole programs make the name of one of these from the number of
 * arguments that a program takes.
 */
#ifndef ___bpf_kprobe_args6
#define ___bpf_kprobe_args6(x, args...) \
	___bpf_kprobe_args5(args), (void *)PT_REGS_PARM6(ctx)
#endif
#ifndef ___bpf_kprobe_args7
#define ___bpf_kprobe_args7(x, args...) \
	___bpf_kprobe_args6(args), (void *)PT_REGS_PARM7(ctx)
#endif
#ifndef ___bpf_kprobe_args8
#define ___bpf_kprobe_args8(x, args...) \
	___bpf_kprobe_args7(args), (void *)PT_REGS_PARM8(ctx)
#endif

#ifndef ___bpf_syscall_args6
#define ___bpf_syscall_args6(x, args...) \
	___bpf_syscall_args5(args), (void *)PT_REGS_PARM6_SYSCALL(regs)
#endif
#ifndef ___bpf_syscall_args7
#define ___bpf_syscall_args7(x, args...) \
	___bpf_syscall_args6(args), (void *)PT_REGS_PARM7_SYSCALL(regs)
#endif

#ifndef ___bpf_syswrap_args6
#define ___bpf_syswrap_args6(x, args...) \
	___bpf_syswrap_args5(args), (void *)PT_REGS_PARM6_CORE_SYSCALL(regs)
#endif
#ifndef ___bpf_syswrap_args7
#define ___bpf_syswrap_args7(x, args...) \
	___bpf_syswrap_args6(args), (void *)PT_REGS_PARM7_CORE_SYSCALL(regs)
#endif

#ifndef BPF_UPROBE
#define BPF_UPROBE(name, args...) BPF_KPROBE(name, ##args)
#endif
#ifndef BPF_URETPROBE
#define BPF_URETPROBE(name, args...) BPF_KRETPROBE(name, ##args)
#endif

/*
 * Version 1.1 treats the register that holds the return address as a pointer to that
 * address, which is wrong on arm64.
 */
#if defined(bpf_target_arm64)
#undef BPF_KPROBE_READ_RET_IP
#define BPF_KPROBE_READ_RET_IP(ip, ctx) ({ (ip) = PT_REGS_RET(ctx); })
#undef BPF_KRETPROBE_READ_RET_IP
#define BPF_KRETPROBE_READ_RET_IP BPF_KPROBE_READ_RET_IP
#endif

#endif /* __GADGET_COMPAT_BPF_TRACING_H */
