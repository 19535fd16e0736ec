// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* The victim and its killer: two mount namespaces in one event; a gadget.yaml about another source. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/mntns.h>
#include <gadget/types.h>

struct event {
	gadget_timestamp timestamp_raw;
	gadget_mntns_id tmntns_id;
	struct gadget_process fprocess;
	gadget_pid tpid;
	gadget_comm tcomm[TASK_COMM_LEN];
};

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(oomkill, events, event);

SEC("tracepoint/signal/signal_generate")
int ig_signal(struct trace_event_raw_signal_generate *ctx)
{
	struct event *event;

	event = gadget_reserve_buf(&events, sizeof(*event));
	if (!event)
		return 0;
	gadget_process_populate(&event->fprocess);
	event->timestamp_raw = bpf_ktime_get_boot_ns();
	event->tmntns_id = gadget_get_current_mntns_id();
	event->tpid = ctx->pid;
	bpf_probe_read_kernel_str(event->tcomm, sizeof(event->tcomm),
				  ctx->comm);
	gadget_submit_buf(ctx, &events, event, sizeof(*event));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
