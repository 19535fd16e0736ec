// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* The tracepoint whose context changed its name, and a kprobe beside it. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_endian.h>
#include <gadget/buffer.h>
#include <gadget/core_fixes.bpf.h>
#include <gadget/types.h>

enum type { RETRANS, LOSS };

enum tcp_flags_set : u8 {
	FIN = 0x01,
	SYN = 0x02,
	RST = 0x04,
	PSH = 0x08,
	ACK = 0x10,
};

struct event {
	gadget_timestamp timestamp_raw;
	gadget_netns_id netns_id;
	struct gadget_l4endpoint_t src;
	struct gadget_l4endpoint_t dst;
	__u8 state;
	enum tcp_flags_set tcpflags_raw;
	enum type type_raw;
};

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(tcpretrans, events, event);

static __always_inline int trace(void *ctx, const struct sock *sk,
				 enum type type)
{
	struct event *event;

	if (!sk)
		return 0;
	event = gadget_reserve_buf(&events, sizeof(*event));
	if (!event)
		return 0;
	__builtin_memset(event, 0, sizeof(*event));
	event->timestamp_raw = bpf_ktime_get_boot_ns();
	event->type_raw = type;
	BPF_CORE_READ_INTO(&event->state, sk, __sk_common.skc_state);
	BPF_CORE_READ_INTO(&event->netns_id, sk, __sk_common.skc_net.net,
			   ns.inum);
	event->src.port = BPF_CORE_READ(sk, __sk_common.skc_num);
	event->dst.port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	event->src.proto_raw = event->dst.proto_raw = IPPROTO_TCP;
	event->src.version = event->dst.version = 4;
	BPF_CORE_READ_INTO(&event->src.addr_raw.v4, sk,
			   __sk_common.skc_rcv_saddr);
	BPF_CORE_READ_INTO(&event->dst.addr_raw.v4, sk, __sk_common.skc_daddr);
	gadget_submit_buf(ctx, &events, event, sizeof(*event));
	return 0;
}

SEC("tracepoint/tcp/tcp_retransmit_skb")
int ig_tcpretrans(void *ctx)
{
	const struct sk_buff *skb = gadget_get_tcp_retransmit_skb_skbaddr(ctx);
	const struct sock *sk = gadget_get_tcp_retransmit_skb_skaddr(ctx);

	if (!skb)
		return 0;
	return trace(ctx, sk, RETRANS);
}

char LICENSE[] SEC("license") = "GPL";
