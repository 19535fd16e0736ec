// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Each verb of buffer.h; args[0] numbers the event.  1: it didn't fit. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/buffer.h>

#define PAD 6

struct event {
	__u64 seq;
	__u64 pad[PAD];
};

GADGET_TRACER_MAP(events, 4096);
GADGET_TRACER(tracer, events, event);

/* The other buffer is there to see that its losses are counted apart. */
GADGET_TRACER_MAP(others, 4096);

#define EVENTS &events

static __always_inline void fill(struct event *event, __u64 seq)
{
	event->seq = seq;
	for (int i = 0; i < PAD; i++)
		event->pad[i] = seq + i;
}

SEC("raw_tp/submit")
int submit(struct bpf_raw_tracepoint_args *ctx)
{
	struct event *event = gadget_reserve_buf(EVENTS, sizeof(*event));

	if (!event)
		return 1;
	fill(event, ctx->args[0]);
	return !!gadget_submit_buf(ctx, EVENTS, event, sizeof(*event));
}

/* Records of other sizes, which are no multiples of 8. */
#define SUBMIT(size)                                                    \
	SEC("raw_tp/submit_" #size)                                     \
	int submit_##size(struct bpf_raw_tracepoint_args *ctx)          \
	{                                                               \
		__u8 *record = gadget_reserve_buf(&events, size);       \
                                                                        \
		if (!record)                                            \
			return 1;                                       \
		for (int i = 0; i < size; i++)                          \
			record[i] = ctx->args[0] >> (i % 8);            \
		return !!gadget_submit_buf(ctx, &events, record, size); \
	}

SUBMIT(1)
SUBMIT(20)
SUBMIT(52)

SEC("raw_tp/output")
int output(struct bpf_raw_tracepoint_args *ctx)
{
	struct event event;

	fill(&event, ctx->args[0]);
	return !!gadget_output_buf(ctx, &events, &event, sizeof(event));
}

/* args[1]: how many bytes of the event. */
SEC("raw_tp/output_part")
int output_part(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 size = ctx->args[1];
	struct event event;

	fill(&event, ctx->args[0]);
	if (size < 1 || size > sizeof(event))
		return 2;
	return !!gadget_output_buf(ctx, &events, &event, size);
}

SEC("raw_tp/discard")
int discard(struct bpf_raw_tracepoint_args *ctx)
{
	struct event *event = gadget_reserve_buf(&events, sizeof(*event));

	if (!event)
		return 1;
	fill(event, ctx->args[0]);
	gadget_discard_buf(event);
	return 0;
}

SEC("raw_tp/other")
int other(struct bpf_raw_tracepoint_args *ctx)
{
	struct event *event = gadget_reserve_buf(&others, sizeof(*event));

	if (!event)
		return 1;
	fill(event, ctx->args[0]);
	return !!gadget_submit_buf(ctx, &others, event, sizeof(*event));
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
