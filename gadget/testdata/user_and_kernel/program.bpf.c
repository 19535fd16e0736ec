// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* One program is for a function in user space, another for the kernel. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/buffer.h>
#include <gadget/macros.h>

struct event {
	__u32 program;
};

GADGET_TRACER_MAP(events, 4096);
GADGET_TRACER(calls, events, event);

static __always_inline int report(void *ctx, __u32 program)
{
	struct event event = {.program = program};

	gadget_output_buf(ctx, &events, &event, sizeof(event));
	return 0;
}

SEC("uprobe/libnone:work")
int on_function(void *ctx)
{
	return report(ctx, 1);
}

SEC("tracepoint/syscalls/sys_enter_getpgid")
int on_call(void *ctx)
{
	return report(ctx, 2);
}

char LICENSE[] SEC("license") = "GPL";
