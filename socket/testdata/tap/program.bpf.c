// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/* Reports the packets of network namespaces, with the owners of their sockets. */

#include <vmlinux.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include <gadget/buffer.h>
#include <gadget/macros.h>
#define GADGET_TYPE_NETWORKING
#include <gadget/sockets-map.h>

#define ETH_HLEN	14
#define PACKET_OUTGOING 4

#define LOAD(skb, off, to, size) \
	bpf_skb_load_bytes(skb, ETH_HLEN + (off), to, size)

#include "../packet.h"

SEC("socket1")
int on_packet(struct __sk_buff *skb)
{
	struct event *event;

	event = gadget_reserve_buf(&events, sizeof(*event));
	if (!event)
		return 0;
	__builtin_memset(event, 0, sizeof(*event));
	event->hook = TAP;
	event->outgoing = skb->pkt_type == PACKET_OUTGOING;
	event->netns = skb->cb[0];
	if (!read_packet(skb, event))
		goto discard;
	fill_owner(event, gadget_socket_lookup(skb));
	gadget_submit_buf(skb, &events, event, sizeof(*event));
	return 0;

discard:
	gadget_discard_buf(event);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
