// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* The seed's three arguments, with the param declared by the author. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/buffer.h>
#include <gadget/user_stack_map.h>

const volatile bool collect_ustack = false;
GADGET_PARAM(collect_ustack);

struct event {
	struct gadget_user_stack ustack;
};

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(stacks, events, event);

SEC("uprobe/libc:getenv")
int BPF_UPROBE(ig_getenv, const char *name)
{
	struct event *event = gadget_reserve_buf(&events, sizeof(struct event));

	if (!event)
		return 0;
	gadget_get_user_stack(ctx, &event->ustack, collect_ustack);
	gadget_submit_buf(ctx, &events, event, sizeof(struct event));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
