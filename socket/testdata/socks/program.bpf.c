// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/* Reports packets where the kernel handles them together with their sockets, with the owners of these. */

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

/* Sockets of other states are smaller structs, or the kernel's own. */
static __always_inline bool is_full(const struct sock *sk)
{
	__u8 state = BPF_CORE_READ(sk, __sk_common.skc_state);

	return state != TCP_TIME_WAIT && state != TCP_NEW_SYN_RECV;
}

static __always_inline int packet(void *ctx, const struct sock *sk,
				  const struct sk_buff *skb, __u8 hook)
{
	struct event *event;
	__u32 netns;
	void *ip;

	if (!sk || !is_full(sk))
		return 0;
	netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	if (!is_watched(netns))
		return 0;
	event = gadget_reserve_buf(&events, sizeof(*event));
	if (!event)
		return 0;
	__builtin_memset(event, 0, sizeof(*event));
	event->hook = hook;
	event->outgoing = hook == QUEUED;
	event->netns = netns;
	ip = BPF_CORE_READ(skb, head) + BPF_CORE_READ(skb, network_header);
	if (!read_packet(ip, event) ||
	    event->lport != BPF_CORE_READ(sk, __sk_common.skc_num))
		goto discard; /* the kernel answers for a socket that is gone */
	fill_owner(event, gadget_socket_lookup(sk, event->netns));
	gadget_submit_buf(ctx, &events, event, sizeof(*event));
	return 0;

discard:
	gadget_discard_buf(event);
	return 0;
}

SEC("tp_btf/net_dev_queue")
int BPF_PROG(on_queued, struct sk_buff *skb)
{
	return packet(ctx, BPF_CORE_READ(skb, sk), skb, QUEUED);
}

/* A packet has come in for a connection. */
SEC("tp_btf/tcp_probe")
int BPF_PROG(on_received, struct sock *sk, struct sk_buff *skb)
{
	return packet(ctx, sk, skb, RECEIVED);
}

char LICENSE[] SEC("license") = "GPL";
