/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Copyright The gizmo Authors */
#ifndef __OWNERS_H
#define __OWNERS_H

/*
 * The maps in which gizmo keeps the owners of sockets.  The programs of owners/ fill them, the
 * functions of lookup/ read them: gizmo links these into the gadgets' programs.
 */

#include <vmlinux.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/*
 * Names and mounts of a path that are kept: deeper ones lose directories at the beginning.  The verifier
 * follows each step, in each of the programs.
 */
#define __GADGET_PATH_DEPTH 48
#include <gadget/filesystem.h>

/* From the kernel's headers, which BTF doesn't have. */
#define AF_INET	   2
#define AF_INET6   10
#define ETH_P_IPV6 0x86DD

/*
 * What the packets of a socket have in common, from the socket's side.  IPv4 addresses are
 * mapped (::ffff:a.b.c.d), so that a socket for IPv6 that has packets of IPv4 is found.  Ports
 * are in host byte order.  A socket without a peer has a remote port and address of 0.
 */
struct endpoints {
	__u32 netns; /* the network namespace's inode */
	__u8 proto;
	__u8 __padding;
	__u16 lport;
	__u16 rport;
	__u16 __padding2;
	__u32 laddr[4];
	__u32 raddr[4];
};

/*
 * The process that used a socket last.  The first members are those of struct
 * gadget_socket_value, where the loader tells gadgets that they are.
 */
struct owner {
	__u64 mntns;
	__u64 pid_tgid;
	__u64 uid_gid;
	char task[TASK_COMM_LEN];
	char ptask[TASK_COMM_LEN];
	__u64 sock;
	__u64 deletion_timestamp;
	__u32 ppid;
	__u32 ptid;
	char ipv6only;
	char ambiguous;
	__u16 family;

	/* Not for gadgets. */
	__u32 exec_id;
	struct endpoints
		at; /* of the claim; without a local port: there is none */
	__u32 __padding;
};

/*
 * The working directory and the executable, behind the owner in the maps: the loader decides how long they
 * may be, and makes the maps' values larger by so much.
 */
static __always_inline char *paths_of(struct owner *o)
{
	return (char *)(o + 1);
}

/* The sockets that packets with the same endpoints may belong to, by their cookies. */
#define SET_SIZE 4

struct set {
	__u64 cookies[SET_SIZE];
};

/* As struct gadget_socket_key. */
struct port_key {
	__u32 netns;
	__u16 family;
	__u8 proto;
	__u8 __padding;
	__u16 port;
	__u16 __padding2;
};

/* By the sockets' cookies. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct owner);
} gadget_socket_owners SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct endpoints);
	__type(value, struct set);
} gadget_socket_sets SEC(".maps");

/*
 * Sockets that are gone: packets of theirs still come.  The endpoints decide on the place, where a later socket
 * takes the place of an earlier one: an LRU map would cost several times as much for each socket that is closed.
 */
#define PAST_SOCKETS 4096

struct past {
	struct endpoints at; /* without a local port: there is none */
	__u32 __padding;
	struct owner owner;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PAST_SOCKETS);
	__type(key, __u32);
	__type(value, struct past);
} gadget_socket_past SEC(".maps");

/*
 * The listeners whose answer to a connection's first packet was seen, in places as those of sockets that
 * are gone: several listeners can share a port.
 */
struct begun {
	struct endpoints at;
	__u32 __padding;
	__u64 listener; /* its cookie */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PAST_SOCKETS);
	__type(key, __u32);
	__type(value, struct begun);
} gadget_socket_begun SEC(".maps");

static __always_inline struct owner *owner_of(__u64 cookie)
{
	return bpf_map_lookup_elem(&gadget_socket_owners, &cookie);
}

static __always_inline void map_ipv4(__u32 to[4], __u32 addr)
{
	to[0] = 0;
	to[1] = 0;
	to[2] = bpf_htonl(0xffff);
	to[3] = addr;
}

static __always_inline void clear_addr(__u32 addr[4])
{
	addr[0] = addr[1] = addr[2] = addr[3] = 0;
}

static __always_inline void copy_addr(__u32 to[4], const __u32 from[4])
{
	to[0] = from[0];
	to[1] = from[1];
	to[2] = from[2];
	to[3] = from[3];
}

/* The place of endpoints among PAST_SOCKETS. */
static __always_inline __u32 place_of(const struct endpoints *at)
{
	__u64 mixed =
		((__u64)at->rport << 48 | (__u64)at->lport << 32 | at->netns) ^
		at->proto;

	mixed ^= (__u64)at->raddr[3] << 32 | at->laddr[3];
	mixed += (__u64)at->raddr[2] << 32 | at->laddr[2];
	mixed ^= (__u64)at->raddr[1] << 32 | at->laddr[1];
	mixed += (__u64)at->raddr[0] << 32 | at->laddr[0];
	/* 2^64 divided by the golden ratio carries all bits to the highest. */
	mixed *= 0x9e3779b97f4a7c15;
	mixed ^= mixed >> 32;
	mixed *= 0x9e3779b97f4a7c15;
	return mixed >> 52; /* 12 bits */
}

static __always_inline struct past *past_of(const struct endpoints *at)
{
	__u32 place = place_of(at);

	return bpf_map_lookup_elem(&gadget_socket_past, &place);
}

static __always_inline struct begun *begun_of(const struct endpoints *at)
{
	__u32 place = place_of(at);

	return bpf_map_lookup_elem(&gadget_socket_begun, &place);
}

static __always_inline bool same_addr(const __u32 a[4], const __u32 b[4])
{
	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3];
}

static __always_inline bool same_endpoints(const struct endpoints *a,
					   const struct endpoints *b)
{
	return a->lport == b->lport && a->rport == b->rport &&
	       a->netns == b->netns && a->proto == b->proto &&
	       same_addr(a->laddr, b->laddr) && same_addr(a->raddr, b->raddr);
}

static __always_inline __u16 family_of(const struct sock *sk)
{
	return BPF_CORE_READ(sk, __sk_common.skc_family);
}

/*
 * Fills @at with the endpoints of a socket.  False for sockets that are neither TCP's nor UDP's, and for
 * those without a local port.
 * @sk:     in the kernel; may be a socket that still connects or waits, which is a smaller struct
 * @family: of @sk
 */
static __always_inline bool endpoints_of(struct endpoints *at,
					 const struct sock *sk, __u16 family,
					 __u8 proto)
{
	const struct sock_common *c = &sk->__sk_common;

	at->netns = BPF_CORE_READ(c, skc_net.net, ns.inum);
	at->proto = proto;
	at->__padding = 0;
	at->__padding2 = 0;
	at->lport = BPF_CORE_READ(c, skc_num);
	at->rport = bpf_ntohs(BPF_CORE_READ(c, skc_dport));
	clear_addr(at->raddr);
	if (family == AF_INET) {
		map_ipv4(at->laddr, BPF_CORE_READ(c, skc_rcv_saddr));
		if (at->rport)
			map_ipv4(at->raddr, BPF_CORE_READ(c, skc_daddr));
	} else if (family == AF_INET6) {
		BPF_CORE_READ_INTO(&at->laddr, c,
				   skc_v6_rcv_saddr.in6_u.u6_addr32);
		if (at->rport)
			BPF_CORE_READ_INTO(&at->raddr, c,
					   skc_v6_daddr.in6_u.u6_addr32);
	} else {
		return false;
	}
	return at->lport != 0;
}

#endif /* __OWNERS_H */
