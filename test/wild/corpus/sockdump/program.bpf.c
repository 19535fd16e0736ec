// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Sockets that exist now, in each network namespace. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>

#include <gadget/macros.h>
#include <gadget/types.h>

#define AF_INET 2
#define AF_INET6 10

enum sock_state {
	established = 1,
	syn_sent = 2,
	syn_recv = 3,
	fin_wait1 = 4,
	fin_wait2 = 5,
	time_wait = 6,
	close = 7,
	close_wait = 8,
	last_ack = 9,
	listen = 10,
	closing = 11,
	new_syn_recv = 12,
};

struct sock_entry {
	struct gadget_l4endpoint_t src;
	struct gadget_l4endpoint_t dst;
	enum sock_state state_raw;
	gadget_uid owner_raw;
	gadget_netns_id netns_id;
	__u64 ino;
};

GADGET_SNAPSHOTTER(sockets, sock_entry, dump_tcp, dump_udp);

static __always_inline void fill(struct sock_entry *e, struct sock_common *skc, __u16 proto)
{
	e->src.proto_raw = e->dst.proto_raw = proto;
	e->src.port = BPF_CORE_READ(skc, skc_num);
	e->dst.port = bpf_ntohs(BPF_CORE_READ(skc, skc_dport));
	e->state_raw = BPF_CORE_READ(skc, skc_state);
	e->netns_id = BPF_CORE_READ(skc, skc_net.net, ns.inum);
	if (BPF_CORE_READ(skc, skc_family) == AF_INET) {
		e->src.version = e->dst.version = 4;
		e->src.addr_raw.v4 = BPF_CORE_READ(skc, skc_rcv_saddr);
		e->dst.addr_raw.v4 = BPF_CORE_READ(skc, skc_daddr);
	} else {
		e->src.version = e->dst.version = 6;
		BPF_CORE_READ_INTO(&e->src.addr_raw.v6, skc, skc_v6_rcv_saddr.in6_u.u6_addr8);
		BPF_CORE_READ_INTO(&e->dst.addr_raw.v6, skc, skc_v6_daddr.in6_u.u6_addr8);
	}
}

SEC("iter/tcp")
int dump_tcp(struct bpf_iter__tcp *ctx)
{
	struct sock_common *skc = ctx->sk_common;
	struct seq_file *seq = ctx->meta->seq;
	struct sock_entry e = {};
	struct tcp_sock *tp;

	if (skc == NULL)
		return 0;
	fill(&e, skc, IPPROTO_TCP);
	e.owner_raw = ctx->uid;
	tp = bpf_skc_to_tcp_sock(skc);
	if (tp) {
		struct socket *sock = BPF_CORE_READ(tp, inet_conn.icsk_inet.sk.sk_socket);

		if (sock)
			e.ino = BPF_CORE_READ(sock, file, f_inode, i_ino);
	}
	bpf_seq_write(seq, &e, sizeof(e));
	return 0;
}

SEC("iter/udp")
int dump_udp(struct bpf_iter__udp *ctx)
{
	struct udp_sock *udp_sk = ctx->udp_sk;
	struct seq_file *seq = ctx->meta->seq;
	struct sock_entry e = {};

	if (udp_sk == (void *)0)
		return 0;
	fill(&e, &udp_sk->inet.sk.__sk_common, IPPROTO_UDP);
	e.owner_raw = ctx->uid;
	e.ino = BPF_CORE_READ(udp_sk, inet.sk.sk_socket, file, f_inode, i_ino);
	bpf_seq_write(seq, &e, sizeof(e));
	return 0;
}

char _license[] SEC("license") = "GPL";
