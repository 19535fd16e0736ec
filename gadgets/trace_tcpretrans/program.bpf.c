// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/*
 * Reports the TCP packets that the kernel sends again, and its probes for losses.
 *
 * Timers and acknowledgements make the kernel do so, whatever process is running; so
 * the process of an event is the owner of the socket.
 */

#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>

#define GADGET_TYPE_TRACING
#include <gadget/buffer.h>
#include <gadget/constants.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/sockets-map.h>
#include <gadget/types.h>

enum tcp_flags_set : __u8 {
	FIN = 0x01,
	SYN = 0x02,
	RST = 0x04,
	PSH = 0x08,
	ACK = 0x10,
	URG = 0x20,
	ECE = 0x40,
	CWR = 0x80,
};

enum tcpretrans_type {
	RETRANS,
	LOSS,
};

struct event {
	gadget_timestamp timestamp_raw;
	gadget_netns_id netns_id;
	__u8 __padding[4];
	struct gadget_process proc; /* the owner of the socket, or zeros */
	struct gadget_l4endpoint_t src;
	struct gadget_l4endpoint_t dst;
	__u8 state;
	enum tcp_flags_set tcpflags_raw;
	__u8 __padding2[2];
	__u32 reason;
	enum tcpretrans_type type_raw;
	__u8 __padding3[4];
};

const volatile bool loss_probes = true;
GADGET_PARAM(loss_probes);

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(tcpretrans, events, event);

static __always_inline void fill_endpoints(struct event *event,
					   const struct sock *sk)
{
	__builtin_memset(&event->src, 0, sizeof(event->src));
	__builtin_memset(&event->dst, 0, sizeof(event->dst));
	event->src.proto = IPPROTO_TCP;
	event->dst.proto = IPPROTO_TCP;
	event->src.port = BPF_CORE_READ(sk, __sk_common.skc_num);
	event->dst.port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	if (BPF_CORE_READ(sk, __sk_common.skc_family) == AF_INET) {
		event->src.version = 4;
		event->dst.version = 4;
		BPF_CORE_READ_INTO(&event->src.addr_raw.v4, sk,
				   __sk_common.skc_rcv_saddr);
		BPF_CORE_READ_INTO(&event->dst.addr_raw.v4, sk,
				   __sk_common.skc_daddr);
		return;
	}
	event->src.version = 6;
	event->dst.version = 6;
	BPF_CORE_READ_INTO(&event->src.addr_raw.v6, sk,
			   __sk_common.skc_v6_rcv_saddr);
	BPF_CORE_READ_INTO(&event->dst.addr_raw.v6, sk,
			   __sk_common.skc_v6_daddr);
}

/* Why: what the connection's congestion control holds of it. */
static __always_inline __u32 congestion_state(const struct sock *sk)
{
	const struct inet_connection_sock *icsk = (const void *)sk;

	return BPF_CORE_READ_BITFIELD_PROBED(icsk, icsk_ca_state);
}

static __always_inline int report(void *ctx, const struct sock *sk,
				  enum tcpretrans_type type,
				  enum tcp_flags_set flags)
{
	__u32 netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	const struct gadget_socket_value *owner;
	struct event *event;

	owner = gadget_socket_lookup(sk, netns);
	if (gadget_should_discard_data_by_skb(owner))
		return 0;
	event = gadget_reserve_buf(&events, sizeof(*event));
	if (!event)
		return 0;
	event->timestamp_raw = bpf_ktime_get_boot_ns();
	event->netns_id = netns;
	gadget_process_populate_from_socket(owner, &event->proc);
	fill_endpoints(event, sk);
	event->state = BPF_CORE_READ(sk, __sk_common.skc_state);
	event->tcpflags_raw = flags;
	event->reason = congestion_state(sk);
	event->type_raw = type;
	__builtin_memset(event->__padding, 0, sizeof(event->__padding));
	__builtin_memset(event->__padding2, 0, sizeof(event->__padding2));
	__builtin_memset(event->__padding3, 0, sizeof(event->__padding3));
	gadget_submit_buf(ctx, &events, event, sizeof(*event));
	return 0;
}

/*
 * Since 6.17, by ad892e912b84 ("tcp: trace retransmit failures in tcp_retransmit_skb"), the
 * tracepoint is also reached if the packet could not be sent, and has the error.
 */
struct trace_event_raw_tcp_retransmit_skb___err {
	int err;
} __attribute__((preserve_access_index));

static __always_inline bool was_sent(const __u64 *ctx)
{
	return !bpf_core_field_exists(
		       struct trace_event_raw_tcp_retransmit_skb___err, err) ||
	       !(int)ctx[2];
}

/* The packet has no header yet: the kernel keeps the flags beside it. */
SEC("tp_btf/tcp_retransmit_skb")
int trace_tcpretrans(__u64 *ctx)
{
	const struct sock *sk = (const struct sock *)ctx[0];
	const struct sk_buff *skb = (const struct sk_buff *)ctx[1];
	const struct tcp_skb_cb *cb = (const void *)skb->cb;

	if (!was_sent(ctx))
		return 0;
	return report(ctx, sk, RETRANS, BPF_CORE_READ(cb, tcp_flags));
}

SEC("fentry/tcp_send_loss_probe")
int BPF_PROG(tcp_loss_f, struct sock *sk)
{
	return report(ctx, sk, LOSS, 0);
}

SEC("kprobe/tcp_send_loss_probe")
int BPF_KPROBE(tcp_loss_k, struct sock *sk)
{
	return report(ctx, sk, LOSS, 0);
}

GADGET_PREFER(tcp_loss_f, tcp_loss_k);
GADGET_TRY_IF(tcp_loss_f, loss_probes);
GADGET_TRY_IF(tcp_loss_k, loss_probes);

char LICENSE[] SEC("license") = "GPL";
