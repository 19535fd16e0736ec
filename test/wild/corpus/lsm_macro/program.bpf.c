// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A program and a param for each hook by a macro; a helper that the buffer is passed to. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <gadget/buffer.h>
#include <gadget/filter.h>
#include <gadget/common.h>

enum lsm_tracepoint {
	file_open,
	bprm_check_security,
	task_kill,
	inode_unlink,
};

struct event {
	gadget_timestamp timestamp_raw;
	struct gadget_process proc;
	enum lsm_tracepoint tracepoint_raw;
};

const volatile bool trace_all = false;
GADGET_PARAM(trace_all);

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(lsm, events, event);

static __always_inline int note(void *ctx, void *map, enum lsm_tracepoint tp)
{
	struct event *event;

	if (gadget_should_discard_data_current())
		return 0;
	event = gadget_reserve_buf(map, sizeof(*event));
	if (!event)
		return 0;
	event->timestamp_raw = bpf_ktime_get_boot_ns();
	gadget_process_populate(&event->proc);
	event->tracepoint_raw = tp;
	gadget_submit_buf(ctx, map, event, sizeof(*event));
	return 0;
}

#define TRACE_LSM(name)                                  \
	const volatile bool trace_##name = false;        \
	GADGET_PARAM(trace_##name);                      \
	SEC("lsm/" #name)                                \
	int BPF_PROG(ig_lsm_##name)                      \
	{                                                \
		if (trace_all || trace_##name)           \
			return note(ctx, &events, name); \
		return 0;                                \
	}

TRACE_LSM(file_open)
TRACE_LSM(bprm_check_security)
TRACE_LSM(task_kill)
TRACE_LSM(inode_unlink)

char LICENSE[] SEC("license") = "GPL";
