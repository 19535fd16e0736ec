// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/*
 * Looks owners up by port, as programs do that were not built with the header's functions.  Which map it looks into
 * depends on the packet, so the look-up stays as it is.
 */

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
#define AF_INET		2
#define AF_INET6	10

#define LOAD(skb, off, to, size) \
	bpf_skb_load_bytes(skb, ETH_HLEN + (off), to, size)

#include "../packet.h"

/* Never has anything in it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct gadget_socket_key);
	__type(value, struct gadget_socket_value);
} nothing SEC(".maps");

/* Packets with a payload of this size have no owner. */
#define SIZE_WITHOUT 1234

static __always_inline struct gadget_socket_value *lookup(const struct event *e,
							  __u16 family)
{
	struct gadget_socket_key key = {
		.netns = e->netns,
		.family = family,
		.proto = e->proto,
		.port = e->lport,
	};
	void *map = &gadget_sockets;

	if (e->size == SIZE_WITHOUT)
		map = &nothing;
	barrier_var(map);
	return bpf_map_lookup_elem(map, &key);
}

SEC("socket1")
int on_packet(struct __sk_buff *skb)
{
	struct gadget_socket_value *owner;
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
	owner = lookup(event, event->version == 4 ? AF_INET : AF_INET6);
	if (!owner && event->version == 4)
		owner = lookup(event, AF_INET6);
	fill_owner(event, owner);
	gadget_submit_buf(skb, &events, event, sizeof(*event));
	return 0;

discard:
	gadget_discard_buf(event);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
