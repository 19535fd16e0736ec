// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Uses glibc's own probes: no symbol needed, works with a stripped libc. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/types.h>

enum thread_step {
	created = 1,
	started = 2,
};

struct event {
	gadget_timestamp timestamp_raw;
	struct gadget_process proc;
	enum thread_step step_raw;
};

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(threads, events, event);

static __always_inline int emit(struct pt_regs *ctx, enum thread_step step)
{
	struct event *event;

	if (gadget_should_discard_data_current())
		return 0;
	event = gadget_reserve_buf(&events, sizeof(*event));
	if (!event)
		return 0;
	gadget_process_populate(&event->proc);
	event->timestamp_raw = bpf_ktime_get_boot_ns();
	event->step_raw = step;
	gadget_submit_buf(ctx, &events, event, sizeof(*event));
	return 0;
}

SEC("usdt/libc:libc:pthread_create")
int threadbirth_create(struct pt_regs *ctx)
{
	return emit(ctx, created);
}

SEC("usdt/libc:libc:pthread_start")
int threadbirth_start(struct pt_regs *ctx)
{
	return emit(ctx, started);
}

char LICENSE[] SEC("license") = "GPL";
