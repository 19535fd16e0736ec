// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* The owner of a socket that does something by itself. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_endian.h>

#include <gadget/buffer.h>
#include <gadget/core_fixes.bpf.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/mntns_filter.h>
#include <gadget/types.h>

#define GADGET_TYPE_TRACING
#include <gadget/sockets-map.h>

#define AF_INET	 2
#define AF_INET6 10

struct event {
	gadget_timestamp timestamp_raw;
	struct gadget_l4endpoint_t src;
	struct gadget_l4endpoint_t dst;
	struct gadget_process proc;
	gadget_netns_id netns_id;
	__u8 state;
};

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(retransmits, events, event);

static __always_inline void fill_addresses(struct event *event,
					   const struct sock *sk)
{
	if (BPF_CORE_READ(sk, __sk_common.skc_family) == AF_INET) {
		event->src.version = event->dst.version = 4;
		BPF_CORE_READ_INTO(&event->src.addr_raw.v4, sk,
				   __sk_common.skc_rcv_saddr);
		BPF_CORE_READ_INTO(&event->dst.addr_raw.v4, sk,
				   __sk_common.skc_daddr);
		return;
	}
	event->src.version = event->dst.version = 6;
	BPF_CORE_READ_INTO(&event->src.addr_raw.v6, sk,
			   __sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32);
	BPF_CORE_READ_INTO(&event->dst.addr_raw.v6, sk,
			   __sk_common.skc_v6_daddr.in6_u.u6_addr32);
}

SEC("tracepoint/tcp/tcp_retransmit_skb")
int ig_tcpretrans(void *ctx)
{
	const struct sk_buff *skb = gadget_get_tcp_retransmit_skb_skbaddr(ctx);
	const struct sock *sk = gadget_get_tcp_retransmit_skb_skaddr(ctx);
	struct gadget_socket_value *skb_val;
	struct event *event;
	__u32 netns;

	if (!skb || !sk)
		return 0;
	netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	skb_val = gadget_socket_lookup(sk, netns);
	if (gadget_should_discard_data_by_skb(skb_val))
		return 0;
	if (skb_val != NULL && gadget_should_discard_mntns_id(skb_val->mntns))
		return 0;
	event = gadget_reserve_buf(&events, sizeof(*event));
	if (!event)
		return 0;

	__builtin_memset(event, 0, sizeof(*event));
	event->timestamp_raw = bpf_ktime_get_boot_ns();
	event->netns_id = netns;
	event->state = BPF_CORE_READ(sk, __sk_common.skc_state);
	fill_addresses(event, sk);
	event->dst.port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	event->src.port = BPF_CORE_READ(sk, __sk_common.skc_num);
	event->src.proto_raw = event->dst.proto_raw = IPPROTO_TCP;
	gadget_process_populate_from_socket(skb_val, &event->proc);
	gadget_submit_buf(ctx, &events, event, sizeof(*event));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
