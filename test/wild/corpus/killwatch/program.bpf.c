// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
// Who sends which signal to whom, from the kernel's side.
#include <vmlinux.h>

#include <bpf/bpf_helpers.h>

#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/types.h>

enum signal_result {
	delivered,
	ignored,
	already_pending,
	overflow_fail,
	lose_info,
};

struct event {
	gadget_timestamp timestamp_raw;
	struct gadget_process proc;
	gadget_signal sig_raw;
	enum signal_result result_raw;
	__s32 code;
	bool to_group;
	gadget_pid target_pid;
	gadget_comm target_comm[TASK_COMM_LEN];
};

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(signals, events, event);

const volatile int only_signal = 0;
const volatile bool from_kernel = true;

GADGET_PARAM(only_signal);
GADGET_PARAM(from_kernel);

SEC("tracepoint/signal/signal_generate")
int killwatch(struct trace_event_raw_signal_generate *ctx)
{
	if (only_signal && ctx->sig != only_signal)
		return 0;
	if (!from_kernel && ctx->code > 0)
		return 0;
	if (gadget_should_discard_data_current())
		return 0;

	struct event *event = gadget_reserve_buf(&events, sizeof(*event));
	if (!event)
		return 0;

	gadget_process_populate(&event->proc);
	event->timestamp_raw = bpf_ktime_get_boot_ns();
	event->sig_raw = ctx->sig;
	event->result_raw = ctx->result;
	event->code = ctx->code;
	event->to_group = ctx->group;
	event->target_pid = ctx->pid;
	bpf_probe_read_kernel_str(event->target_comm, sizeof(event->target_comm), ctx->comm);
	gadget_submit_buf(ctx, &events, event, sizeof(*event));

	return 0;
}

char LICENSE[] SEC("license") = "GPL";
