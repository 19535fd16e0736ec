// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Reports the calls of getpgid from one of three programs that stand in for each other. The kernel has
 * the hooks of all, but its verifier refuses as many of them as it is asked to.
 */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include <gadget/buffer.h>
#include <gadget/macros.h>

enum program {
	BY_BTF,
	BY_RAW,
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

/* The programs that are to be refused: a bit for each. */
const volatile __u32 spoiled = 0;
GADGET_PARAM(spoiled);

GADGET_TRACER_MAP(events, 4096);
GADGET_TRACER(calls, events, event);

GADGET_PREFER(by_btf, by_raw);
GADGET_PREFER(by_raw, by_tracepoint);

/* A helper that no kernel has. */
static long (*no_such_helper)(void) = (void *)99999;

/* A way that the verifier does not see if the program is not spoiled: it knows the param's value. */
static __always_inline int report(void *ctx, __u32 program, __u32 pid)
{
	struct event *event;

	if (spoiled & (1 << program))
		no_such_helper();
	if (bpf_get_current_pid_tgid() >> 32 != target)
		return 0;
	event = gadget_reserve_buf(&events, sizeof(*event));
	if (!event)
		return 0;
	event->program = program;
	event->pid = pid;
	gadget_submit_buf(ctx, &events, event, sizeof(*event));
	return 0;
}

SEC("tp_btf/sys_enter")
int BPF_PROG(by_btf, const struct pt_regs *regs, long id)
{
	if (id != getpgid_nr)
		return 0;
	return report(ctx, BY_BTF, PT_REGS_PARM1_CORE_SYSCALL(regs));
}

SEC("raw_tp/sys_enter")
int by_raw(struct bpf_raw_tracepoint_args *ctx)
{
	const struct pt_regs *regs = (void *)ctx->args[0];

	if (ctx->args[1] != getpgid_nr)
		return 0;
	return report(ctx, BY_RAW, PT_REGS_PARM1_CORE_SYSCALL(regs));
}

SEC("tracepoint/syscalls/sys_enter_getpgid")
int by_tracepoint(struct trace_event_raw_sys_enter *ctx)
{
	return report(ctx, BY_TRACEPOINT, ctx->args[0]);
}

char LICENSE[] SEC("license") = "GPL";
