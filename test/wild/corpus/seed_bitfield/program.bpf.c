// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A bit set, and the annotation of its separator. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/buffer.h>

enum flags_set {
	FOO = 0x01,
	BAR = 0x02,
};

struct event {
	enum flags_set flags_raw;
	enum flags_set other;
};

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(bits, events, event);

SEC("tracepoint/syscalls/sys_enter_getpgid")
int ig_bits(struct syscall_trace_enter *ctx)
{
	struct event *event;

	event = gadget_reserve_buf(&events, sizeof(*event));
	if (!event)
		return 0;
	event->flags_raw = FOO | BAR;
	event->other = FOO | BAR;
	gadget_submit_buf(ctx, &events, event, sizeof(*event));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
