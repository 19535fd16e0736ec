// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * A program for each way to hook a function of the kernel, here that of the system
 * call getpgid.  They report the calls of one process.
 */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include <gadget/buffer.h>
#include <gadget/macros.h>

#if defined(__TARGET_ARCH_arm64)
#define SYS_GETPGID "__arm64_sys_getpgid"
#else
#define SYS_GETPGID "__x64_sys_getpgid"
#endif

enum program {
	KPROBE,
	KRETPROBE,
	KSYSCALL,
	KRETSYSCALL,
	FENTRY,
	FEXIT,
};

struct event {
	__u32 program;
	__u32 pid;
	__s64 result;
};

/* The process whose calls are reported. */
const volatile __u32 target = 0;
GADGET_PARAM(target);

GADGET_TRACER_MAP(events, 4096);
GADGET_TRACER(calls, events, event);

static __always_inline int report(void *ctx, __u32 program, __u32 pid,
				  __s64 result)
{
	struct event *event;

	if (bpf_get_current_pid_tgid() >> 32 != target)
		return 0;
	event = gadget_reserve_buf(&events, sizeof(*event));
	if (!event)
		return 0;
	event->program = program;
	event->pid = pid;
	event->result = result;
	gadget_submit_buf(ctx, &events, event, sizeof(*event));
	return 0;
}

SEC("kprobe/sys_getpgid")
int on_kprobe(struct pt_regs *ctx)
{
	struct pt_regs *regs = (struct pt_regs *)PT_REGS_PARM1(ctx);

	return report(ctx, KPROBE, PT_REGS_PARM1_CORE_SYSCALL(regs), 0);
}

SEC("kretprobe/sys_getpgid")
int on_kretprobe(struct pt_regs *ctx)
{
	return report(ctx, KRETPROBE, 0, (int)PT_REGS_RC(ctx));
}

SEC("ksyscall/getpgid")
int on_ksyscall(struct pt_regs *ctx)
{
	struct pt_regs *regs = (struct pt_regs *)PT_REGS_PARM1(ctx);

	return report(ctx, KSYSCALL, PT_REGS_PARM1_CORE_SYSCALL(regs), 0);
}

SEC("kretsyscall/getpgid")
int on_kretsyscall(struct pt_regs *ctx)
{
	return report(ctx, KRETSYSCALL, 0, (int)PT_REGS_RC(ctx));
}

SEC("fentry/" SYS_GETPGID)
int BPF_PROG(on_fentry, const struct pt_regs *regs)
{
	return report(ctx, FENTRY, PT_REGS_PARM1_CORE_SYSCALL(regs), 0);
}

SEC("fexit/" SYS_GETPGID)
int BPF_PROG(on_fexit, const struct pt_regs *regs, long ret)
{
	return report(ctx, FEXIT, PT_REGS_PARM1_CORE_SYSCALL(regs), (int)ret);
}

/* Asks for nothing, so that any function will do. */
SEC("fentry/" SYS_GETPGID)
int on_any(void *ctx)
{
	return report(ctx, FENTRY, 0, 0);
}

char LICENSE[] SEC("license") = "GPL";
