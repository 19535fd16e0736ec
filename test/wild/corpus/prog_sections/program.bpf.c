// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* All spellings of the section name of one hook. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <gadget/buffer.h>

struct event {
	u32 way;
};

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(ways, events, event);

static __always_inline int way(void *ctx, u32 n)
{
	struct event e = {.way = n};

	return gadget_output_buf(ctx, &events, &e, sizeof(e)) ? 1 : 0;
}

SEC("tracepoint/sched/sched_process_exec")
int a(struct trace_event_raw_sched_process_exec *ctx)
{
	return way(ctx, 1);
}

SEC("tp/sched/sched_process_exec")
int b(void *ctx)
{
	return way(ctx, 2);
}

SEC("raw_tracepoint/sched_process_exec")
int c(struct bpf_raw_tracepoint_args *ctx)
{
	return way(ctx, 3);
}

SEC("raw_tp/sched_process_exec")
int d(struct bpf_raw_tracepoint_args *ctx)
{
	return way(ctx, 4);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(e, struct task_struct *p)
{
	return way(ctx, 5);
}

char LICENSE[] SEC("license") = "GPL";
