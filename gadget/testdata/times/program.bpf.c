// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* An event with its time for each call getpgid(magic | value). */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/buffer.h>
#include <gadget/macros.h>
#include <gadget/types.h>

struct event {
	__u32 cpu;
	__u32 value;
	gadget_timestamp time_raw;
};

const volatile __u32 magic = 0;
GADGET_PARAM(magic);

GADGET_TRACER_MAP(events, 4096);
GADGET_TRACER(times, events, event);

SEC("tracepoint/syscalls/sys_enter_getpgid")
int gt_times(struct trace_event_raw_sys_enter *ctx)
{
	__u32 pid = ctx->args[0];
	struct event *event;

	if (!magic || (pid & 0xffff0000) != magic)
		return 0;
	event = gadget_reserve_buf(&events, sizeof(*event));
	if (!event)
		return 0;
	event->cpu = bpf_get_smp_processor_id();
	event->value = pid & 0xffff;
	event->time_raw = bpf_ktime_get_boot_ns();
	gadget_submit_buf(ctx, &events, event, sizeof(*event));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
