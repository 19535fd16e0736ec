// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Reports the UDP packets to port 4321, at all places for packets. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include <gadget/buffer.h>
#include <gadget/macros.h>
#include <gadget/types.h>

#define ETH_HLEN 14
#define TC_ACT_UNSPEC (-1)

enum place { tap, ingress, egress };

struct event {
	gadget_netns_id netns_id;
	__u32 place;
	__u32 size;
};

GADGET_TRACER_MAP(events, 4096);
GADGET_TRACER(packets, events, event);

static __always_inline void packet(struct __sk_buff *skb, enum place place)
{
	struct event *event;
	struct iphdr ip;
	struct udphdr udp;

	if (bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip)) ||
	    ip.version != 4 || ip.protocol != IPPROTO_UDP ||
	    bpf_skb_load_bytes(skb, ETH_HLEN + ip.ihl * 4, &udp, sizeof(udp)) ||
	    udp.dest != bpf_htons(4321))
		return;
	event = gadget_reserve_buf(&events, sizeof(*event));
	if (!event)
		return;
	event->netns_id = skb->cb[0];
	event->place = place;
	event->size = bpf_ntohs(udp.len) - sizeof(udp);
	gadget_submit_buf(skb, &events, event, sizeof(*event));
}

SEC("socket1")
int on_packet(struct __sk_buff *skb)
{
	packet(skb, tap);
	return 0;
}

SEC("classifier/ingress/taps")
int on_ingress(struct __sk_buff *skb)
{
	packet(skb, ingress);
	return TC_ACT_UNSPEC;
}

SEC("classifier/egress/taps")
int on_egress(struct __sk_buff *skb)
{
	packet(skb, egress);
	return TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "GPL";
