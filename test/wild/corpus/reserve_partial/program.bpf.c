// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* The size of a record by the address of a member, and a discard. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/buffer.h>
#include <gadget/macros.h>

struct event {
	int x;
	char buf[16];
};
#define BASE_EVENT_SIZE ((size_t)(&((struct event *)0)->buf))

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(t, events, event);

SEC("tracepoint/syscalls/sys_enter_getpgid")
int ig_partial(struct syscall_trace_enter *ctx)
{
	struct event *e = gadget_reserve_buf(&events, BASE_EVENT_SIZE);

	if (!e)
		return 0;
	e->x = ctx->args[0];
	if (e->x != 4242) {
		gadget_discard_buf(e);
		return 0;
	}
	gadget_submit_buf(ctx, &events, e, BASE_EVENT_SIZE);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
