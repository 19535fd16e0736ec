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

	/* The working directory and the executable: the loader decides how long they may be. */
	char paths[2 * GADGET_PATH_MAX];
};

/* The sockets that packets with the same endpoints may belong to, by their cookies. */
#define SET_SIZE 4

struct set {
	__u64 cookies[SET_SIZE];
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

/* Sockets that are gone: packets of theirs still come. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct endpoints);
	__type(value, struct owner);
} gadget_socket_past SEC(".maps");

/*
 * The cookies of the listeners whose answer to a connection's first packet was seen: several
 * listeners can share a port.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct endpoints);
	__type(value, __u64);
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

/*
 * Fills @at with the endpoints of a socket.  False for sockets that are neither TCP's nor UDP's, and for
 * those without a local port.
 * @sk: in the kernel; may be a socket that still connects or waits, which is a smaller struct
 */
static __always_inline bool endpoints_of(struct endpoints *at,
					 const struct sock *sk, __u8 proto)
{
	const struct sock_common *c = &sk->__sk_common;
	__u16 family = BPF_CORE_READ(c, skc_family);

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
