/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef __GADGET_SOCKETS_MAP_H
#define __GADGET_SOCKETS_MAP_H

/*
 * The owners of sockets.  A program sees a packet, or a socket outside of a system call,
 * in the context of whatever process is running; this finds the process that opened it.
 *
 * Before including this, define GADGET_TYPE_NETWORKING in gadgets whose programs
 * look at packets (socket filters, tc), else GADGET_TYPE_TRACING: the look-ups take
 * a packet or a struct sock, and have the same name for both.
 */

#include <gadget/base.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <gadget/types.h>

/* A socket, identified by what its packets carry. */
struct gadget_socket_key {
	__u32 netns;  /* the network namespace's inode */
	__u16 family; /* AF_INET or AF_INET6 */
	__u8 proto;   /* IPPROTO_TCP or IPPROTO_UDP */
	__u8 __padding;
	__u16 port; /* the local one, host byte order */
	__u16 __padding2;
};

/*
 * The process that opened the socket, at that time.  The loader decides where the members
 * are, which of the optional ones exist, and how long they may be.  So check
 * bpf_core_field_exists() and bpf_core_field_size() before using those.
 */
struct gadget_socket_value {
	__u64 mntns;
	__u64 pid_tgid;
	__u64 uid_gid;
	char task[TASK_COMM_LEN];
	char ptask[TASK_COMM_LEN];
	__u64 sock; /* the struct sock, in the kernel */
	__u64 deletion_timestamp;
	__u32 ppid;
	__u32 ptid;
	char ipv6only;

	/* Optional. */
	char ambiguous; /* another process may be it: they share the port */
	char cwd[4096] __attribute__((aligned(8)));
	char exepath[4096] __attribute__((aligned(8)));
} __attribute__((preserve_access_index));

/* The older name of the struct. */
#define sockets_value gadget_socket_value

/* The loader puts its own map in the place of this. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct gadget_socket_key);
	__type(value, struct gadget_socket_value);
} gadget_sockets SEC(".maps");

/* From headers of which a gadget has the kernel's, user space's or none. */
#define __GADGET_AF_INET	 2
#define __GADGET_AF_INET6	 10
#define __GADGET_ETH_P_IP	 0x0800
#define __GADGET_ETH_P_IPV6	 0x86DD
#define __GADGET_ETH_HLEN	 14
#define __GADGET_PACKET_OUTGOING 4
#define __GADGET_IPPROTO_TCP	 6
#define __GADGET_IPPROTO_UDP	 17

#ifdef GADGET_TYPE_NETWORKING

/* Where the header of the next protocol begins, and which that is. */
struct __gadget_layer {
	__u32 off;
	__u8 proto;
};

/* False if the protocol's header does not follow. */
static __always_inline bool __gadget_skip_ipv4(const struct __sk_buff *skb,
					       struct __gadget_layer *layer)
{
	__u8 header[12]; /* up to the protocol and beyond */

	if (bpf_skb_load_bytes(skb, layer->off, header, sizeof(header)))
		return false;
	if ((header[6] & 0x1f) | header[7]) /* a fragment, not the first */
		return false;
	layer->off += (header[0] & 0xf) * 4;
	layer->proto = header[9];
	return true;
}

/* The numbers of the extension headers of IPv6. */
#define __GADGET_NEXTHDR_HOP	  0
#define __GADGET_NEXTHDR_ROUTING  43
#define __GADGET_NEXTHDR_FRAGMENT 44
#define __GADGET_NEXTHDR_AUTH	  51
#define __GADGET_NEXTHDR_DEST	  60

/* More than one of each makes no sense. */
#define __GADGET_NEXTHDR_MAX 6

/* False if there is none, or if the rest belongs to another packet. */
static __always_inline bool
__gadget_skip_ipv6_extension(const struct __sk_buff *skb,
			     struct __gadget_layer *layer)
{
	__u8 header[4]; /* the next one's number, a length, more */

	if (bpf_skb_load_bytes(skb, layer->off, header, sizeof(header)))
		return false;
	switch (layer->proto) {
	case __GADGET_NEXTHDR_FRAGMENT:
		if (header[2] | (header[3] & 0xf8)) /* not the first */
			return false;
		layer->off += 8;
		break;
	case __GADGET_NEXTHDR_AUTH:
		layer->off += (header[1] + 2) * 4;
		break;
	case __GADGET_NEXTHDR_HOP:
	case __GADGET_NEXTHDR_ROUTING:
	case __GADGET_NEXTHDR_DEST:
		layer->off += (header[1] + 1) * 8;
		break;
	default:
		return false;
	}
	layer->proto = header[0];
	return true;
}

static __always_inline bool __gadget_has_ports(__u8 proto)
{
	return proto == __GADGET_IPPROTO_TCP || proto == __GADGET_IPPROTO_UDP;
}

static __always_inline bool __gadget_skip_ipv6(const struct __sk_buff *skb,
					       struct __gadget_layer *layer)
{
	if (bpf_skb_load_bytes(skb, layer->off + 6, &layer->proto,
			       sizeof(layer->proto)))
		return false;
	layer->off += 40;
#pragma unroll
	for (int i = 0; i < __GADGET_NEXTHDR_MAX; i++) {
		if (__gadget_has_ports(layer->proto))
			return true;
		if (!__gadget_skip_ipv6_extension(skb, layer))
			return false;
	}
	return true;
}

/* Fills the family, and finds the header that has the ports. */
static __always_inline bool __gadget_skip_ip(const struct __sk_buff *skb,
					     struct gadget_socket_key *key,
					     struct __gadget_layer *layer)
{
	__u16 type = 0;

	if (bpf_skb_load_bytes(skb, __GADGET_ETH_HLEN - sizeof(type), &type,
			       sizeof(type)))
		return false;
	layer->off = __GADGET_ETH_HLEN;
	switch (bpf_ntohs(type)) {
	case __GADGET_ETH_P_IP:
		key->family = __GADGET_AF_INET;
		return __gadget_skip_ipv4(skb, layer);
	case __GADGET_ETH_P_IPV6:
		key->family = __GADGET_AF_INET6;
		return __gadget_skip_ipv6(skb, layer);
	}
	return false;
}

/*
 * A socket for IPv6 may have the packets of IPv4, too, and is known by its own
 * family only.
 */
static __always_inline struct gadget_socket_value *
__gadget_socket_lookup_key(struct gadget_socket_key *key)
{
	struct gadget_socket_value *value;

	value = bpf_map_lookup_elem(&gadget_sockets, key);
	if (value || key->family != __GADGET_AF_INET)
		return value;
	key->family = __GADGET_AF_INET6;
	value = bpf_map_lookup_elem(&gadget_sockets, key);
	return value && !value->ipv6only ? value : NULL;
}

/*
 * gadget_socket_lookup_with_direction: the owner of the socket that sent a packet of TCP
 * or UDP, or that will receive it, or NULL.
 * @skb:        the program's context; the packet begins with its Ethernet header
 * @is_ingress: whether it is for a socket here
 *
 * For programs whose skb->pkt_type may not show the direction: tc.  Costs two or
 * three reads of the packet and one or two look-ups in a hash map.
 */
static __always_inline struct gadget_socket_value *
gadget_socket_lookup_with_direction(const struct __sk_buff *skb,
				    __u8 is_ingress)
{
	struct gadget_socket_key key = {};
	struct __gadget_layer layer = {};

	if (!__gadget_skip_ip(skb, &key, &layer) ||
	    !__gadget_has_ports(layer.proto))
		return NULL;
	/* The headers of both protocols begin with the source port, then the destination port. */
	if (is_ingress)
		layer.off += sizeof(key.port);
	if (bpf_skb_load_bytes(skb, layer.off, &key.port, sizeof(key.port)))
		return NULL;
	key.port = bpf_ntohs(key.port);
	key.proto = layer.proto;
	key.netns = skb->cb[0];
	return __gadget_socket_lookup_key(&key);
}

/*
 * gadget_socket_lookup: the same for socket filters, which also see packets that are
 * sent, and know the direction.
 */
static __always_inline struct gadget_socket_value *
gadget_socket_lookup(const struct __sk_buff *skb)
{
	return gadget_socket_lookup_with_direction(
		skb, skb->pkt_type != __GADGET_PACKET_OUTGOING);
}

#endif /* GADGET_TYPE_NETWORKING */

#ifdef GADGET_TYPE_TRACING

/*
 * The owner of @sk as far as its local port tells: several sockets may have the same one.  gizmo
 * replaces this function by one that knows the socket itself.  So the compiler must not
 * build it into others, nor leave out the argument that is not used here.
 */
static __noinline __attribute__((unused)) struct gadget_socket_value *
__gadget_socket_by_sock(const void *sk, const struct gadget_socket_key *key)
{
	asm volatile("" : : "r"(sk));
	return bpf_map_lookup_elem(&gadget_sockets, key);
}

/*
 * gadget_socket_lookup: the owner of a socket of TCP or UDP, or NULL.
 * @sk:    in the kernel; not the socket of a connection that is still being made or
 *         already closed, because that is a smaller struct
 * @netns: the inode of its network namespace
 */
static __always_inline struct gadget_socket_value *
gadget_socket_lookup(const struct sock *sk, __u32 netns)
{
	struct gadget_socket_key key = {.netns = netns};
	const struct inet_sock *inet = (const struct inet_sock *)sk;

	/* 8 bits of an int before 5.6: bf9765145b85 ("sock: Make sk_protocol a
	 * 16-bit value"). */
	key.proto = BPF_CORE_READ_BITFIELD_PROBED(sk, sk_protocol);
	if (key.proto != __GADGET_IPPROTO_TCP &&
	    key.proto != __GADGET_IPPROTO_UDP)
		return NULL;
	key.family = BPF_CORE_READ(sk, __sk_common.skc_family);
	key.port = bpf_ntohs(BPF_CORE_READ(inet, inet_sport));
	return __gadget_socket_by_sock(sk, &key);
}

#endif /* GADGET_TYPE_TRACING */

#if !defined(GADGET_TYPE_NETWORKING) && !defined(GADGET_TYPE_TRACING)
#define gadget_socket_lookup(...)                                      \
	({                                                             \
		_Static_assert(0, "define GADGET_TYPE_NETWORKING or "  \
				  "GADGET_TYPE_TRACING before "        \
				  "including <gadget/sockets-map.h>"); \
		(struct gadget_socket_value *)NULL;                    \
	})
#endif

/*
 * gadget_process_populate_from_socket: fills @p, every byte of it.
 * @skb_val: of gadget_socket_lookup(); if NULL, @p is all zero
 */
static __always_inline void
gadget_process_populate_from_socket(const struct gadget_socket_value *skb_val,
				    struct gadget_process *p)
{
	__builtin_memset(p, 0, sizeof(*p));
	if (!skb_val)
		return;
	__builtin_memcpy(p->comm, skb_val->task, sizeof(p->comm));
	p->pid = skb_val->pid_tgid >> 32;
	p->tid = (__u32)skb_val->pid_tgid;
	p->mntns_id = skb_val->mntns;
	p->creds.uid = (__u32)skb_val->uid_gid;
	p->creds.gid = skb_val->uid_gid >> 32;
	__builtin_memcpy(p->parent.comm, skb_val->ptask,
			 sizeof(p->parent.comm));
	p->parent.pid = skb_val->ppid;
	p->parent.tid = skb_val->ptid;
}

#endif /* __GADGET_SOCKETS_MAP_H */
