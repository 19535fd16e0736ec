// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/*
 * Shows the TCP and UDP sockets that exist.
 *
 * The kernel calls the programs for each socket of the network namespace that the
 * iteration was begun in.  Connections that have no full socket, either not yet or no
 * longer, are in the same tables: all of them begin with a struct sock_common.
 */

/* Arm64's kernel has an enumerator that is called as a state below is. */
#define CLOSE __vmlinux_CLOSE
#include <vmlinux.h>
#undef CLOSE
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>

#include <gadget/constants.h>
#include <gadget/macros.h>
#include <gadget/types.h>

enum transport {
	TCP = IPPROTO_TCP,
	UDP = IPPROTO_UDP,
};

/* The kernel's numbers; UDP has but two of them. */
enum sock_state {
	ESTABLISHED = 1,
	SYN_SENT,
	SYN_RECV,
	FIN_WAIT1,
	FIN_WAIT2,
	TIME_WAIT,
	CLOSE,
	CLOSE_WAIT,
	LAST_ACK,
	LISTEN,
	CLOSING,
	NEW_SYN_RECV,
};

struct socket_entry {
	gadget_netns_id netns_id;
	enum transport proto_raw;
	struct gadget_l4endpoint_t src;
	struct gadget_l4endpoint_t dst;
	__u64 ino;
	enum sock_state state_raw;
	__u32 __padding;
};

GADGET_ITER(sockets, socket_entry, snapshot_tcp, snapshot_udp);

static __always_inline void read_endpoints(struct socket_entry *entry,
					   struct sock_common *sk)
{
	entry->src.port = sk->skc_num;
	entry->dst.port = bpf_ntohs(sk->skc_dport);
	entry->src.proto = entry->dst.proto = entry->proto_raw;
	if (sk->skc_family == AF_INET) {
		entry->src.version = entry->dst.version = 4;
		entry->src.addr_raw.v4 = sk->skc_rcv_saddr;
		entry->dst.addr_raw.v4 = sk->skc_daddr;
		return;
	}
	entry->src.version = entry->dst.version = 6;
	bpf_core_read(entry->src.addr_raw.v6, 16, &sk->skc_v6_rcv_saddr);
	bpf_core_read(entry->dst.addr_raw.v6, 16, &sk->skc_v6_daddr);
}

/* 0 if the socket has none: no process has it open, or not yet. */
static __always_inline __u64 inode_of(struct sock *sk)
{
	struct socket *socket = BPF_CORE_READ(sk, sk_socket);

	if (!socket)
		return 0;
	/* The struct socket is the beginning of a struct that also has the inode. */
	return BPF_CORE_READ((struct socket_alloc *)socket, vfs_inode.i_ino);
}

/* Fills all of @entry but the state and the inode.  False: neither IPv4 nor 6. */
static __always_inline bool read_common(struct socket_entry *entry,
					struct sock_common *sk,
					enum transport proto)
{
	if (sk->skc_family != AF_INET && sk->skc_family != AF_INET6)
		return false;
	__builtin_memset(entry, 0, sizeof(*entry));
	entry->netns_id = sk->skc_net.net->ns.inum;
	entry->proto_raw = proto;
	read_endpoints(entry, sk);
	return true;
}

SEC("iter/tcp")
int snapshot_tcp(struct bpf_iter__tcp *ctx)
{
	struct sock_common *sk = ctx->sk_common;
	struct tcp_timewait_sock *tw;
	struct socket_entry entry;

	if (!sk || !read_common(&entry, sk, TCP))
		return 0;
	entry.state_raw = sk->skc_state;
	switch (entry.state_raw) {
	case TIME_WAIT:
		/* The rest of a closed socket may still wait for the other side's end. */
		tw = bpf_skc_to_tcp_timewait_sock(sk);
		if (tw)
			entry.state_raw = tw->tw_sk.tw_substate;
		break;
	case NEW_SYN_RECV:
		/* A request to connect; as /proc/net/tcp has it. */
		entry.state_raw = SYN_RECV;
		break;
	default:
		entry.ino = inode_of((struct sock *)sk);
	}
	bpf_seq_write(ctx->meta->seq, &entry, sizeof(entry));
	return 0;
}

SEC("iter/udp")
int snapshot_udp(struct bpf_iter__udp *ctx)
{
	struct udp_sock *udp = ctx->udp_sk;
	struct socket_entry entry;
	struct sock *sk;

	if (!udp)
		return 0;
	sk = &udp->inet.sk;
	if (!read_common(&entry, &sk->__sk_common, UDP))
		return 0;
	entry.state_raw = sk->__sk_common.skc_state;
	entry.ino = inode_of(sk);
	bpf_seq_write(ctx->meta->seq, &entry, sizeof(entry));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
