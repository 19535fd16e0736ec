// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Two iterators into one array, endpoints in struct form. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <gadget/macros.h>
#include <gadget/types.h>

#define AF_INET	 2
#define AF_INET6 10

struct socket_entry {
	struct gadget_l4endpoint_t src;
	struct gadget_l4endpoint_t dst;
	__u32 state;
	__u32 ino;
	gadget_netns_id netns_id;
};

GADGET_ITER(sockets, socket_entry, ig_snap_tcp, ig_snap_udp);

static __always_inline void fill(struct socket_entry *e, struct sock_common *sk,
				 __u16 proto)
{
	e->src.version = e->dst.version = sk->skc_family == AF_INET ? 4 : 6;
	e->src.proto_raw = e->dst.proto_raw = proto;
	e->src.port = sk->skc_num;
	e->dst.port = bpf_ntohs(sk->skc_dport);
	e->state = sk->skc_state;
	e->netns_id = BPF_CORE_READ(sk, skc_net.net, ns.inum);
	if (sk->skc_family == AF_INET) {
		e->src.addr_raw.v4 = sk->skc_rcv_saddr;
		e->dst.addr_raw.v4 = sk->skc_daddr;
	} else if (sk->skc_family == AF_INET6) {
		BPF_CORE_READ_INTO(&e->src.addr_raw.v6, sk,
				   skc_v6_rcv_saddr.in6_u.u6_addr8);
		BPF_CORE_READ_INTO(&e->dst.addr_raw.v6, sk,
				   skc_v6_daddr.in6_u.u6_addr8);
	}
}

SEC("iter/tcp")
int ig_snap_tcp(struct bpf_iter__tcp *ctx)
{
	struct sock_common *sk = ctx->sk_common;
	struct socket_entry entry = {};

	if (!sk)
		return 0;
	fill(&entry, sk, IPPROTO_TCP);
	bpf_seq_write(ctx->meta->seq, &entry, sizeof(entry));
	return 0;
}

SEC("iter/udp")
int ig_snap_udp(struct bpf_iter__udp *ctx)
{
	struct udp_sock *udp = ctx->udp_sk;
	struct socket_entry entry = {};

	if (!udp)
		return 0;
	fill(&entry, &udp->inet.sk.__sk_common, IPPROTO_UDP);
	bpf_seq_write(ctx->meta->seq, &entry, sizeof(entry));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
