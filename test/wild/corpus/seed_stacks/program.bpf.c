// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Both stacks, as the guide takes them. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/buffer.h>
#include <gadget/kernel_stack_map.h>
#include <gadget/user_stack_map.h>

struct event {
	gadget_kernel_stack kstack;
	struct gadget_user_stack ustack;
};

const volatile bool collect_ustack = false;
GADGET_PARAM(collect_ustack);

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(stacks, events, event);

SEC("tracepoint/syscalls/sys_enter_getpgid")
int ig_stacks(struct syscall_trace_enter *ctx)
{
	struct event *event;
	long kernel_stack_id;

	event = gadget_reserve_buf(&events, sizeof(struct event));
	if (!event)
		return 0;
	kernel_stack_id = gadget_get_kernel_stack(ctx);
	if (kernel_stack_id >= 0)
		event->kstack = kernel_stack_id;
	else
		event->kstack = 0;
	gadget_get_user_stack(ctx, &event->ustack, collect_ustack);
	gadget_submit_buf(ctx, &events, event, sizeof(struct event));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
