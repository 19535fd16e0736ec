// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A whole gadget in one function, which must load as each type of program. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/filter.h>

struct event {
	struct gadget_process process;
	__u64 nr;
};

GADGET_TRACER_MAP(events, 4096);
GADGET_TRACER(tracer, events, event);

const volatile __u64 only_nr = 0;

static __always_inline int emit(void *ctx, __u64 nr)
{
	struct event *event;

	if (nr != only_nr || gadget_should_discard_data_current())
		return 0;
	event = gadget_reserve_buf(&events, sizeof(*event));
	if (!event)
		return 0;
	gadget_process_populate(&event->process);
	event->nr = nr;
	gadget_submit_buf(ctx, &events, event, sizeof(*event));
	return 0;
}

SEC("kprobe/do_exit")
int on_kprobe(struct pt_regs *ctx)
{
	return emit(ctx, 0);
}

SEC("tracepoint/syscalls/sys_enter_getpgid")
int on_tracepoint(struct syscall_trace_enter *ctx)
{
	return emit(ctx, ctx->nr);
}

SEC("raw_tp/sys_enter")
int on_raw_tp(struct bpf_raw_tracepoint_args *ctx)
{
	return emit(ctx, ctx->args[1]);
}

SEC("tp_btf/sys_enter")
int on_tp_btf(__u64 *ctx)
{
	return emit(ctx, ctx[1]);
}

SEC("fentry/do_nanosleep")
int on_fentry(__u64 *ctx)
{
	return emit(ctx, 0);
}

SEC("lsm/file_open")
int on_lsm(__u64 *ctx)
{
	return emit(ctx, 0);
}

SEC("perf_event")
int on_perf_event(struct bpf_perf_event_data *ctx)
{
	return emit(ctx, 0);
}

char LICENSE[] SEC("license") = "GPL";
