// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Data after a record, with its length in a field. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/buffer.h>

struct event {
	u32 len;
};

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(trailing, events, event);

SEC("tracepoint/syscalls/sys_enter_getpgid")
int ig_trailing(struct syscall_trace_enter *ctx)
{
	struct {
		struct event event;
		char data[4];
	} both = {.event = {.len = 3}, .data = "abc"};

	gadget_output_buf(ctx, &events, &both, sizeof(both));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
