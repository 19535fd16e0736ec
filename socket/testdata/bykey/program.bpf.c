// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/* Looks the owners of sockets up in the map itself, as gadgets of other authors do. */

#include <vmlinux.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include <gadget/buffer.h>
#include <gadget/macros.h>
#define GADGET_TYPE_TRACING
#include <gadget/sockets-map.h>

#define LOAD(ip, off, to, size) \
	bpf_probe_read_kernel(to, size, (char *)(ip) + (off))

#include "../packet.h"

SEC("tp_btf/net_dev_queue")
int BPF_PROG(on_queued, struct sk_buff *skb)
{
	struct gadget_socket_key key = {};
	struct event *event;
	struct sock *sk;
	void *ip;

	sk = BPF_CORE_READ(skb, sk);
	if (!sk ||
	    BPF_CORE_READ(sk, __sk_common.skc_state) == TCP_NEW_SYN_RECV ||
	    BPF_CORE_READ(sk, __sk_common.skc_state) == TCP_TIME_WAIT)
		return 0;
	key.netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	if (!is_watched(key.netns))
		return 0;
	event = gadget_reserve_buf(&events, sizeof(*event));
	if (!event)
		return 0;
	__builtin_memset(event, 0, sizeof(*event));
	event->hook = QUEUED;
	event->outgoing = 1;
	event->netns = key.netns;
	ip = BPF_CORE_READ(skb, head) + BPF_CORE_READ(skb, network_header);
	if (!read_packet(ip, event))
		goto discard;
	key.family = BPF_CORE_READ(sk, __sk_common.skc_family);
	key.proto = event->proto;
	key.port = BPF_CORE_READ(sk, __sk_common.skc_num);
	fill_owner(event, bpf_map_lookup_elem(&gadget_sockets, &key));
	gadget_submit_buf(ctx, &events, event, sizeof(*event));
	return 0;

discard:
	gadget_discard_buf(event);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
