// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* An event with the ids of both stacks for each call getpgid(magic | value). */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/buffer.h>
#include <gadget/kernel_stack_map.h>
#include <gadget/macros.h>
#include <gadget/user_stack_map.h>

struct event {
	__u32 value;
	gadget_kernel_stack kernel_raw;
	struct gadget_user_stack user_raw;
};

const volatile __u32 magic = 0;
const volatile __u32 getpgid_nr = 0;
const volatile __u32 way = 0; /* which program makes the events */
const volatile bool kernel_too = false;
GADGET_PARAM(magic);
GADGET_PARAM(getpgid_nr);
GADGET_PARAM(way);
GADGET_PARAM(kernel_too);

GADGET_TRACER_MAP(events, 4096);
GADGET_TRACER(stacks, events, event);

static __always_inline int report(void *ctx, __u32 pid)
{
	struct event *event;

	if (!magic || (pid & 0xffff0000) != magic)
		return 0;
	event = gadget_reserve_buf(&events, sizeof(*event));
	if (!event)
		return 0;
	event->value = pid & 0xffff;
	event->kernel_raw = kernel_too ? gadget_get_kernel_stack(ctx) : 0;
	gadget_get_user_stack(ctx, &event->user_raw);
	gadget_submit_buf(ctx, &events, event, sizeof(*event));
	return 0;
}

SEC("tracepoint/syscalls/sys_enter_getpgid")
int by_tracepoint(struct syscall_trace_enter *ctx)
{
	return way == 0 ? report(ctx, ctx->args[0]) : 0;
}

SEC("raw_tp/sys_enter")
int by_raw_tp(struct bpf_raw_tracepoint_args *ctx)
{
	struct pt_regs *regs = (struct pt_regs *)ctx->args[0];

	if (way != 1 || ctx->args[1] != getpgid_nr)
		return 0;
	return report(ctx, BPF_CORE_READ(regs, di));
}

SEC("tp_btf/sys_enter")
int by_tp_btf(__u64 *ctx)
{
	struct pt_regs *regs = (struct pt_regs *)ctx[0];

	if (way != 2 || ctx[1] != getpgid_nr)
		return 0;
	return report(ctx, BPF_CORE_READ(regs, di));
}

/* A thread of the kernel has no user stack. */
SEC("tp_btf/workqueue_execute_start")
int by_worker(void *ctx)
{
	return way == 3 ? report(ctx, magic) : 0;
}

char LICENSE[] SEC("license") = "GPL";
