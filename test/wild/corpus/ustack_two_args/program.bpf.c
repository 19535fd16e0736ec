// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* gadget_get_user_stack() without the third argument, and the kernel's stack. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/kernel_stack_map.h>
#include <gadget/user_stack_map.h>

struct event {
	struct gadget_process proc;
	struct gadget_user_stack ustack;
	gadget_kernel_stack kstack_raw;
	char fname[32];
};

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(stacks, events, event);

SEC("tracepoint/syscalls/sys_enter_getpgid")
int ig_stacks(struct syscall_trace_enter *ctx)
{
	struct event *event;
	long id;

	event = gadget_reserve_buf(&events, sizeof(*event));
	if (!event)
		return 0;
	gadget_process_populate(&event->proc);
	gadget_get_user_stack(ctx, &event->ustack);
	id = gadget_get_kernel_stack(ctx);
	event->kstack_raw = id >= 0 ? id : 0;
	__builtin_memset(event->fname, 0, sizeof(event->fname));
	event->fname[0] = 'X';
	gadget_submit_buf(ctx, &events, event, sizeof(*event));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
