// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * An event for each call getpgid(magic | value), by functions that get the buffer as an
 * argument: one that is inlined and one that is not.  Every second event is put together
 * elsewhere.
 */
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

GADGET_TRACER_MAP(unused, 4096);
GADGET_TRACER_MAP(events, 4096);
GADGET_TRACER(times, events, event);

static __always_inline int reserve(void *ctx, void *map, __u32 value)
{
	struct event *event = gadget_reserve_buf(map, sizeof(*event));

	if (!event)
		return 0;
	event->cpu = bpf_get_smp_processor_id();
	event->value = value;
	event->time_raw = bpf_ktime_get_boot_ns();
	gadget_submit_buf(ctx, map, event, sizeof(*event));
	return 0;
}

static __noinline long output(void *ctx, void *map, __u32 value)
{
	struct event event = {
		.cpu = bpf_get_smp_processor_id(),
		.value = value,
		.time_raw = bpf_ktime_get_boot_ns(),
	};

	return gadget_output_buf(ctx, map, &event, sizeof(event));
}

SEC("tracepoint/syscalls/sys_enter_getpgid")
int gt_times(struct trace_event_raw_sys_enter *ctx)
{
	__u32 pid = ctx->args[0];

	if (!magic || (pid & 0xffff0000) != magic)
		return 0;
	if (pid & 1)
		output(ctx, &events, pid & 0xffff);
	else
		reserve(ctx, &events, pid & 0xffff);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
