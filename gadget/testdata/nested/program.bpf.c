// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * A program inside another: the call getpgid(magic) makes the first send a signal
 * that is ignored, at which the second would run, but the kernel runs no
 * program of a tracepoint inside another.
 */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/buffer.h>
#include <gadget/macros.h>

#define SIGURG 23

struct event {
	__s32 signal;
};

const volatile __u32 magic = 0;
GADGET_PARAM(magic);

GADGET_TRACER_MAP(events, 4096);
GADGET_TRACER(signals, events, event);

SEC("tracepoint/syscalls/sys_enter_getpgid")
int outer(struct trace_event_raw_sys_enter *ctx)
{
	__u32 pid = ctx->args[0];

	if (magic && (pid & 0xffff0000) == magic)
		bpf_send_signal(SIGURG);
	return 0;
}

SEC("tracepoint/signal/signal_generate")
int inner(struct trace_event_raw_signal_generate *ctx)
{
	struct event *event = gadget_reserve_buf(&events, sizeof(*event));

	if (!event)
		return 0;
	event->signal = ctx->sig;
	gadget_submit_buf(ctx, &events, event, sizeof(*event));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
