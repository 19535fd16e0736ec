// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A socket filter with the types of user space, and an old section name. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <sys/socket.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#include <gadget/buffer.h>
#include <gadget/macros.h>
#include <gadget/types.h>

#define GADGET_TYPE_NETWORKING
#include <gadget/sockets-map.h>

struct event {
	gadget_netns_id netns_id;
	struct gadget_l4endpoint_t src;
	struct gadget_l4endpoint_t dst;
	gadget_mntns_id mntns_id;
	gadget_pid pid;
};

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(udp, events, event);

SEC("socket1")
int ig_trace_udp(struct __sk_buff *skb)
{
	struct gadget_socket_value *skb_val;
	struct event event = {};
	struct iphdr iph;
	struct udphdr udph;

	if (bpf_skb_load_bytes(skb, ETH_HLEN, &iph, sizeof(iph)))
		return 0;
	if (iph.version != 4 || iph.protocol != IPPROTO_UDP)
		return 0;
	if (bpf_skb_load_bytes(skb, ETH_HLEN + iph.ihl * 4, &udph,
			       sizeof(udph)))
		return 0;
	event.netns_id = skb->cb[0];
	event.src.version = event.dst.version = 4;
	event.src.addr_raw.v4 = iph.saddr;
	event.dst.addr_raw.v4 = iph.daddr;
	event.src.port = bpf_ntohs(udph.source);
	event.dst.port = bpf_ntohs(udph.dest);
	event.src.proto_raw = event.dst.proto_raw = IPPROTO_UDP;
	skb_val = gadget_socket_lookup(skb);
	if (skb_val != NULL) {
		event.mntns_id = skb_val->mntns;
		event.pid = skb_val->pid_tgid >> 32;
	}
	gadget_output_buf(skb, &events, &event, sizeof(event));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
