// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Reports the UDP packets to a port that an interface receives. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include <gadget/buffer.h>
#include <gadget/macros.h>

struct event {
	__u32 size;
	__u32 padding;
};

/* The port. */
const volatile __u16 port = 0;
GADGET_PARAM(port);

GADGET_TRACER_MAP(events, 4096);
GADGET_TRACER(packets, events, event);

/* What lies in front of the packets' data: no options, only IPv4. */
struct headers {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
} __attribute__((packed));

SEC("xdp")
int on_packet(struct xdp_md *ctx)
{
	struct headers *h = (void *)(long)ctx->data;
	struct event *event;

	if ((void *)(h + 1) > (void *)(long)ctx->data_end ||
	    h->ip.protocol != IPPROTO_UDP || h->udp.dest != bpf_htons(port))
		return XDP_PASS;
	event = gadget_reserve_buf(&events, sizeof(*event));
	if (!event)
		return XDP_PASS;
	event->size = bpf_ntohs(h->udp.len) - sizeof(h->udp);
	event->padding = 0;
	gadget_submit_buf(ctx, &events, event, sizeof(*event));
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
