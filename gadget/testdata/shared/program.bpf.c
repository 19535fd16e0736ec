// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Reports calls of processes in mount namespaces that another holds in a map. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/buffer.h>
#include <gadget/macros.h>
#include <gadget/mntns.h>
#include <gadget/mntns_filter.h>

struct event {
	__u32 value;
	__u32 padding;
};

const volatile __u32 magic = 0;
GADGET_PARAM(magic);

GADGET_TRACER_MAP(events, 4096);
GADGET_TRACER(calls, events, event);

SEC("tracepoint/syscalls/sys_enter_getpgid")
int gt_shared(struct syscall_trace_enter *ctx)
{
	__u32 pid = ctx->args[0];
	struct event *event;

	if (!magic || (pid & 0xffff0000) != magic)
		return 0;
	if (gadget_should_discard_mntns_id(gadget_get_current_mntns_id()))
		return 0;
	event = gadget_reserve_buf(&events, sizeof(*event));
	if (!event)
		return 0;
	event->value = (__u16)pid;
	event->padding = 0;
	gadget_submit_buf(ctx, &events, event, sizeof(*event));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
