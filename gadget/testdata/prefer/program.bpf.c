// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Reports the calls of getpgid by a process, from the best hook that the kernel has.
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
	BY_FENTRY,
	BY_KPROBE,
	BY_TRACEPOINT,
};

struct event {
	__u32 program;
	__u32 pid;
};

/* The process whose calls are reported. */
const volatile __u32 target = 0;
GADGET_PARAM(target);

/* The number of the system call getpgid. */
const volatile __u32 getpgid_nr = ~0U;
GADGET_PARAM(getpgid_nr);

GADGET_TRACER_MAP(events, 4096);
GADGET_TRACER(calls, events, event);

GADGET_PREFER(by_fentry, by_kprobe);
GADGET_PREFER(by_kprobe, by_tracepoint);

static __always_inline int report(void *ctx, __u32 program,
				  const struct pt_regs *regs)
{
	struct event *event;

	if (bpf_get_current_pid_tgid() >> 32 != target)
		return 0;
	event = gadget_reserve_buf(&events, sizeof(*event));
	if (!event)
		return 0;
	event->program = program;
	event->pid = PT_REGS_PARM1_CORE_SYSCALL(regs);
	gadget_submit_buf(ctx, &events, event, sizeof(*event));
	return 0;
}

SEC("fentry/" SYS_GETPGID)
int BPF_PROG(by_fentry, const struct pt_regs *regs)
{
	return report(ctx, BY_FENTRY, regs);
}

SEC("kprobe/sys_getpgid")
int by_kprobe(struct pt_regs *ctx)
{
	return report(ctx, BY_KPROBE, (struct pt_regs *)PT_REGS_PARM1(ctx));
}

SEC("tp_btf/sys_enter")
int BPF_PROG(by_tracepoint, const struct pt_regs *regs, long id)
{
	if (id != getpgid_nr)
		return 0;
	return report(ctx, BY_TRACEPOINT, regs);
}

char LICENSE[] SEC("license") = "GPL";
