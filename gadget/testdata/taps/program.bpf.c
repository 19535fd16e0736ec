// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Reports the UDP packets to a port, as the programs for packets see them. Each returns something else, which must not matter.
 */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include <gadget/buffer.h>
#include <gadget/macros.h>

#define ETH_HLEN 14

struct event {
	__u32 program;
	__u32 netns;
	__u32 ifindex;
	__u32 size;
};

/* The port; 0: none. */
const volatile __u16 port = 0;
GADGET_PARAM(port);

/* What programs return for packets to the port. */
const volatile __u32 result = 0;
GADGET_PARAM(result);

GADGET_TRACER_MAP(events, 4096);
GADGET_TRACER(packets, events, event);

static __always_inline int packet(struct __sk_buff *skb, __u32 program)
{
	struct event *event;
	struct iphdr ip;
	struct udphdr udp;

	if (!port || bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip)) ||
	    ip.version != 4 || ip.protocol != IPPROTO_UDP ||
	    bpf_skb_load_bytes(skb, ETH_HLEN + ip.ihl * 4, &udp, sizeof(udp)) ||
	    udp.dest != bpf_htons(port))
		return 0;
	event = gadget_reserve_buf(&events, sizeof(*event));
	if (!event)
		return result;
	event->program = program;
	event->netns = skb->cb[0];
	event->ifindex = skb->ifindex;
	event->size = bpf_ntohs(udp.len) - sizeof(udp);
	gadget_submit_buf(skb, &events, event, sizeof(*event));
	return result;
}

SEC("socket1")
int on_socket(struct __sk_buff *skb)
{
	return packet(skb, 0);
}

SEC("classifier/ingress/taps")
int on_ingress(struct __sk_buff *skb)
{
	return packet(skb, 1);
}

SEC("classifier/egress/taps")
int on_egress(struct __sk_buff *skb)
{
	return packet(skb, 2);
}

char LICENSE[] SEC("license") = "GPL";
