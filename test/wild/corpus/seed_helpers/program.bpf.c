// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* The buffer in a helper of the author, as the signatures of the guide allow it. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/filter.h>

struct event {
	struct gadget_process proc;
	u32 way;
};

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(exit, events, event);

static __always_inline struct event *begin(void *map, u32 way)
{
	struct event *event = gadget_reserve_buf(map, sizeof(*event));

	if (event) {
		gadget_process_populate(&event->proc);
		event->way = way;
	}
	return event;
}

static __always_inline void end(void *ctx, void *map, void *event, bool wanted)
{
	if (wanted)
		gadget_submit_buf(ctx, map, event, sizeof(struct event));
	else
		gadget_discard_buf(event);
}

SEC("tracepoint/syscalls/sys_enter_getpgid")
int ig_helpers(struct syscall_trace_enter *ctx)
{
	gadget_comm comm[TASK_COMM_LEN];
	struct event *event;

	if (gadget_should_discard_data_current())
		return 0;
	bpf_get_current_comm(comm, sizeof(comm));
	if (gadget_should_discard_data(gadget_get_current_mntns_id(),
				       bpf_get_current_pid_tgid() >> 32,
				       bpf_get_current_pid_tgid(), comm, 0, 0))
		return 0;
	event = begin(&events, 1);
	if (event)
		end(ctx, &events, event, ctx->args[0] == 4242);
	event = begin(&events, 2);
	if (event)
		end(ctx, &events, event, false);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
