// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
//
// In the manner of bcc's tcpretrans, with the owner of the socket.
#include <vmlinux.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_endian.h>

#include <gadget/buffer.h>
#include <gadget/core_fixes.bpf.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/types.h>

#define GADGET_TYPE_TRACING
#include <gadget/sockets-map.h>

/* conflicts with the uapi headers, so spelled out */
#define AF_INET	 2
#define AF_INET6 10

enum tcp_flags_set : __u8 {
	FIN = 0x01,
	SYN = 0x02,
	RST = 0x04,
	PSH = 0x08,
	ACK = 0x10,
	URG = 0x20,
};

/* as in the kernel, but with short names for the column */
enum tcp_st : __u8 {
	established = 1,
	syn_sent,
	syn_recv,
	fin_wait1,
	fin_wait2,
	time_wait,
	closed,
	close_wait,
	last_ack,
	listening,
	closing,
};

struct event {
	gadget_timestamp timestamp_raw;
	gadget_netns_id netns_id;
	struct gadget_process proc;
	struct gadget_l4endpoint_t src;
	struct gadget_l4endpoint_t dst;
	enum tcp_st state_raw;
	enum tcp_flags_set tcpflags_raw;
	__u32 total_retrans;
	char cwd[128];
};

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(retrans, events, event);

static int submit(void *ctx, const struct sock *sk, const struct sk_buff *skb)
{
	const struct inet_sock *inet = (const struct inet_sock *)sk;
	const struct tcp_sock *tp = (const struct tcp_sock *)sk;
	struct gadget_socket_value *val;
	struct tcp_skb_cb *tcb;
	struct event *ev;
	__u16 family;
	__u32 netns;

	if (!sk || !skb)
		return 0;
	if (BPF_CORE_READ_BITFIELD_PROBED(sk, sk_protocol) != IPPROTO_TCP)
		return 0;

	BPF_CORE_READ_INTO(&netns, sk, __sk_common.skc_net.net, ns.inum);
	val = gadget_socket_lookup(sk, netns);
	if (gadget_should_discard_data_by_skb(val))
		return 0;

	ev = gadget_reserve_buf(&events, sizeof(*ev));
	if (!ev)
		return 0;
	__builtin_memset(ev, 0, sizeof(*ev));

	family = BPF_CORE_READ(sk, __sk_common.skc_family);
	switch (family) {
	case AF_INET:
		ev->src.version = ev->dst.version = 4;
		BPF_CORE_READ_INTO(&ev->src.addr_raw.v4, sk, __sk_common.skc_rcv_saddr);
		BPF_CORE_READ_INTO(&ev->dst.addr_raw.v4, sk, __sk_common.skc_daddr);
		break;
	case AF_INET6:
		ev->src.version = ev->dst.version = 6;
		BPF_CORE_READ_INTO(&ev->src.addr_raw.v6, sk,
				   __sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32);
		BPF_CORE_READ_INTO(&ev->dst.addr_raw.v6, sk,
				   __sk_common.skc_v6_daddr.in6_u.u6_addr32);
		break;
	default:
		gadget_discard_buf(ev);
		return 0;
	}
	ev->src.port = bpf_ntohs(BPF_CORE_READ(inet, inet_sport));
	ev->dst.port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	ev->src.proto_raw = ev->dst.proto_raw = IPPROTO_TCP;
	ev->state_raw = BPF_CORE_READ(sk, __sk_common.skc_state);
	ev->total_retrans = BPF_CORE_READ(tp, total_retrans);

	tcb = (struct tcp_skb_cb *)&(skb->cb[0]);
	bpf_core_read(&ev->tcpflags_raw, sizeof(ev->tcpflags_raw), &tcb->tcp_flags);

	ev->netns_id = netns;
	ev->timestamp_raw = bpf_ktime_get_boot_ns();
	if (val) {
		gadget_process_populate_from_socket(val, &ev->proc);
		if (bpf_core_field_exists(val->cwd)) {
			__u32 len = bpf_core_field_size(val->cwd);

			if (len > sizeof(ev->cwd))
				len = sizeof(ev->cwd);
			bpf_probe_read_kernel_str(ev->cwd, len, val->cwd);
		}
	}
	gadget_submit_buf(ctx, &events, ev, sizeof(*ev));
	return 0;
}

SEC("tracepoint/tcp/tcp_retransmit_skb")
int retranswatch(void *ctx)
{
	const struct sk_buff *skb = gadget_get_tcp_retransmit_skb_skbaddr(ctx);
	const struct sock *sk = gadget_get_tcp_retransmit_skb_skaddr(ctx);

	return submit(ctx, sk, skb);
}

char _license[] SEC("license") = "GPL";
