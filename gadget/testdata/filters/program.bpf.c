// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Programs of all kinds that have packets, with two packet filters. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/buffer.h>
#include <gadget/macros.h>
#include <gadget/packetfilter.h>

struct event {
	__u32 size;
	__u32 padding;
};

GADGET_TRACER_MAP(events, 4096);
GADGET_TRACER(packets, events, event);

GADGET_PF();
GADGET_PF(loud);

/* How many packets the first filter let pass. */
__u32 matched;

/* Returns bits: 1 for the first filter, 2 for the other one. */
static __always_inline int verdicts(void *ctx, void *data, void *end)
{
	int bits = 0;

	if (gadget_pf_matches(ctx, data, end)) {
		__sync_fetch_and_add(&matched, 1);
		bits |= 1;
	}
	if (gadget_pf_matches(loud, ctx, data, end))
		bits |= 2;
	return bits;
}

SEC("socket1")
int on_socket(struct __sk_buff *skb)
{
	return verdicts(skb, NULL, NULL);
}

SEC("classifier/egress/out")
int on_egress(struct __sk_buff *skb)
{
	return verdicts(skb, (void *)(long)skb->data,
			(void *)(long)skb->data_end);
}

SEC("classifier/ingress/counted")
int on_ingress(struct __sk_buff *skb)
{
	verdicts(skb, (void *)(long)skb->data, (void *)(long)skb->data_end);
	return -1;
}

SEC("xdp")
int on_xdp(struct xdp_md *ctx)
{
	return verdicts(ctx, (void *)(long)ctx->data,
			(void *)(long)ctx->data_end);
}

/* Reports the packets that the first filter lets pass. */
SEC("xdp/report")
int on_packet(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	struct event *event;

	if (!gadget_pf_matches(ctx, data, end))
		return XDP_PASS;
	event = gadget_reserve_buf(&events, sizeof(*event));
	if (!event)
		return XDP_PASS;
	event->size = end - data;
	event->padding = 0;
	gadget_submit_buf(ctx, &events, event, sizeof(*event));
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
