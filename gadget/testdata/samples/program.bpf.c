// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Reports each sample with its CPU. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/buffer.h>
#include <gadget/macros.h>

struct event {
	__u32 cpu;
	__u32 padding;
};

GADGET_TRACER_MAP(events, 4096);
GADGET_TRACER(samples, events, event);

SEC("perf_event/tick")
int on_tick(struct bpf_perf_event_data *ctx)
{
	struct event *event = gadget_reserve_buf(&events, sizeof(*event));

	if (!event)
		return 0;
	event->cpu = bpf_get_smp_processor_id();
	event->padding = 0;
	gadget_submit_buf(ctx, &events, event, sizeof(*event));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
