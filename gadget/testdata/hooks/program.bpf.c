// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * One data source for each kind of hook.  They report the calls getpgid(pid) whose
 * pid has the upper half of the param magic, and the lower half as value.
 */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include <gadget/buffer.h>
#include <gadget/macros.h>

struct event {
	__u64 pid_tgid;
	__u32 cpu;
	__u32 value;
};

const volatile __u32 magic = 0;
GADGET_PARAM(magic);

/* The number of the system call getpgid, which the raw tracepoints need. */
const volatile __u32 getpgid_nr = ~0U;
GADGET_PARAM(getpgid_nr);

GADGET_TRACER_MAP(tp_events, 4096);
GADGET_TRACER(tp, tp_events, event);
GADGET_TRACER_MAP(raw_events, 4096);
GADGET_TRACER(raw, raw_events, event);
GADGET_TRACER_MAP(btf_events, 4096);
GADGET_TRACER(btf, btf_events, event);

static __always_inline bool wanted(__u32 pid)
{
	return (pid & 0xffff0000) == magic;
}

static __always_inline void fill(struct event *e, __u32 pid)
{
	e->pid_tgid = bpf_get_current_pid_tgid();
	e->cpu = bpf_get_smp_processor_id();
	e->value = (__u16)pid;
}

#define REPORT(ctx, map, pid)                                              \
	({                                                                 \
		struct event *__e = gadget_reserve_buf(map, sizeof(*__e)); \
		if (__e) {                                                 \
			fill(__e, pid);                                    \
			gadget_submit_buf(ctx, map, __e, sizeof(*__e));    \
		}                                                          \
	})

SEC("tracepoint/syscalls/sys_enter_getpgid")
int gt_tp(struct trace_event_raw_sys_enter *ctx)
{
	__u32 pid = ctx->args[0];

	if (magic && wanted(pid))
		REPORT(ctx, &tp_events, pid);
	return 0;
}

SEC("raw_tp/sys_enter")
int gt_raw(struct bpf_raw_tracepoint_args *ctx)
{
	struct pt_regs *regs = (struct pt_regs *)ctx->args[0];
	__u32 pid;

	if (!magic || ctx->args[1] != getpgid_nr)
		return 0;
	pid = PT_REGS_PARM1_CORE_SYSCALL(regs);
	if (wanted(pid))
		REPORT(ctx, &raw_events, pid);
	return 0;
}

SEC("tp_btf/sys_enter")
int BPF_PROG(gt_btf, struct pt_regs *regs, long id)
{
	__u32 pid;

	if (!magic || id != getpgid_nr)
		return 0;
	pid = PT_REGS_PARM1_CORE_SYSCALL(regs);
	if (wanted(pid))
		REPORT(ctx, &btf_events, pid);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
