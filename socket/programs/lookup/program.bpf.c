// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/*
 * Functions that find the owner of a socket.  gizmo links them into gadgets' programs, in place of
 * the look-ups of <gadget/sockets-map.h>, which know the local port only.  So they may use no
 * variables, and little stack: that of the program counts, too.
 */

#include "../owners.h"

#define PACKET_OUTGOING 4

/* As struct gadget_socket_key. */
struct port_key {
	__u32 netns;
	__u16 family;
	__u8 proto;
	__u8 __padding;
	__u16 port;
	__u16 __padding2;
};

/* For its size only, which the loader knows. */
struct gadget_socket_value {
	__u64 mntns;
} __attribute__((preserve_access_index));

/* What the functions need room for. */
struct scratch {
	struct endpoints at;
	__u32 __padding;
	struct endpoints packet; /* as it came, from the local side */
	__u32 starts; /* it is the first packet of a connection, or a datagram */
	struct owner copy;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} gadget_socket_scratch SEC(".maps");

/* The packet that a program runs for, in the kernel: the dispatcher of the program writes it. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} gadget_packet SEC(".maps");

static __always_inline struct scratch *scratch(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&gadget_socket_scratch, &zero);
}

static __always_inline __u32 current_tgid(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	return BPF_CORE_READ(task, tgid);
}

/*
 * One of the sockets that have exactly these endpoints.  If there are several, a datagram that
 * is sent belongs to the current process.  Otherwise the kernel has not decided yet: the owner is
 * marked.
 */
static __always_inline struct owner *member(struct scratch *s, bool sends)
{
	struct set *set = bpf_map_lookup_elem(&gadget_socket_sets, &s->at);
	struct owner *first = NULL, *o;
	__u32 tgid, several = 0;

	if (!set)
		return NULL;
	if (!(set->cookies[1] | set->cookies[2] | set->cookies[3]))
		return owner_of(set->cookies[0]);
	tgid = sends && s->at.proto == IPPROTO_UDP ? current_tgid() : 0;
#pragma unroll
	for (int i = 0; i < SET_SIZE; i++) {
		o = set->cookies[i] ? owner_of(set->cookies[i]) : NULL;
		if (!o)
			continue;
		if (tgid && o->pid_tgid >> 32 == tgid)
			return o;
		if (first)
			several = 1;
		else
			first = o;
	}
	if (!several)
		return first;
	/* With the paths behind it. */
	bpf_probe_read_kernel(&s->copy,
			      bpf_core_type_size(struct gadget_socket_value),
			      first);
	s->copy.ambiguous = 1;
	return &s->copy;
}

/*
 * For how long packets belong to a socket that has been closed: TIME_WAIT lasts 60 seconds.  Later the process
 * of another socket may have the endpoints, in a namespace that got the number of this one, say.
 */
#define PAST_NS (60 * 1000000000ULL)

/* A socket that has been closed. */
static __always_inline struct owner *gone(struct scratch *s)
{
	struct past *past = past_of(&s->at);

	if (!past || !same_endpoints(&past->at, &s->at) ||
	    bpf_ktime_get_ns() - past->owner.deletion_timestamp > PAST_NS)
		return NULL;
	return &past->owner;
}

/* How a listener waits for packets with any local address. */
static __always_inline void any_ipv4(struct scratch *s)
{
	map_ipv4(s->at.laddr, 0);
}

static __always_inline struct owner *waiting(struct scratch *s, bool ipv4,
					     bool sends)
{
	struct owner *o = member(s, sends);

	if (o)
		return o;
	if (ipv4) {
		any_ipv4(s);
		o = member(s, sends);
		if (o)
			return o;
	}
	clear_addr(s->at.laddr);
	o = member(s, sends);
	return o && ipv4 && o->ipv6only ? NULL : o;
}

/* The same among those that have been closed. */
static __always_inline struct owner *waited(struct scratch *s, bool ipv4)
{
	struct owner *o;

	copy_addr(s->at.laddr, s->packet.laddr);
	o = gone(s);
	if (o)
		return o;
	if (ipv4) {
		any_ipv4(s);
		o = gone(s);
		if (o)
			return o;
	}
	clear_addr(s->at.laddr);
	return gone(s);
}

/* The listener that has answered the first packet of a connection. */
static __always_inline struct owner *answering(struct scratch *s)
{
	struct begun *begun;

	if (s->at.proto != IPPROTO_TCP)
		return NULL;
	begun = begun_of(&s->at);
	if (!begun || !same_endpoints(&begun->at, &s->at))
		return NULL;
	return owner_of(begun->listener);
}

/*
 * The owner of the socket whose packets have the endpoints s->packet: a connection, or one that was
 * closed, or a socket that waits for any peer.  A connection that was closed still gets packets, but the first packet of
 * another one may have the same endpoints.  So may datagrams: UDP does not keep ports for a while.
 */
static __always_inline struct owner *owner_at(struct scratch *s, bool sends)
{
	bool ipv4 = s->packet.laddr[2] == bpf_htonl(0xffff) &&
		    !(s->packet.laddr[0] | s->packet.laddr[1]);
	struct owner *o;

	s->at = s->packet;
	o = member(s, sends);
	if (!o)
		o = answering(s);
	if (!o && !s->starts)
		o = gone(s);
	if (o)
		return o;
	s->at.rport = 0;
	clear_addr(s->at.raddr);
	o = waiting(s, ipv4, sends);
	if (o || s->at.proto == IPPROTO_TCP)
		return o; /* a connection never belongs to a listener that was closed before */
	s->at = s->packet;
	o = gone(s);
	if (o)
		return o;
	s->at.rport = 0;
	clear_addr(s->at.raddr);
	return waited(s, ipv4);
}

/* ---- Packets ---- */

static __always_inline void swap_ends(struct endpoints *at)
{
	__u32 addr[4];
	__u16 port = at->lport;

	at->lport = at->rport;
	at->rport = port;
	copy_addr(addr, at->laddr);
	copy_addr(at->laddr, at->raddr);
	copy_addr(at->raddr, addr);
}

/* The numbers of the extension headers of IPv6. */
#define NEXTHDR_HOP	 0
#define NEXTHDR_ROUTING	 43
#define NEXTHDR_FRAGMENT 44
#define NEXTHDR_AUTH	 51
#define NEXTHDR_DEST	 60

/* Where the header of TCP or UDP begins in a packet of IPv6. */
static __always_inline void *behind_ipv6(void *ip, __u8 proto)
{
	__u8 next[2], kind;
	void *at = ip + 40;

	bpf_probe_read_kernel(&kind, sizeof(kind), ip + 6);
	for (int i = 0; i < 6 && kind != proto; i++) {
		if (bpf_probe_read_kernel(next, sizeof(next), at))
			break;
		switch (kind) {
		case NEXTHDR_HOP:
		case NEXTHDR_ROUTING:
		case NEXTHDR_DEST:
			at += (next[1] + 1) * 8;
			break;
		case NEXTHDR_FRAGMENT:
			at += 8;
			break;
		case NEXTHDR_AUTH:
			at += (next[1] + 2) * 4;
			break;
		default:
			return at;
		}
		kind = next[0];
	}
	return at;
}

/* The flags of TCP. */
#define TCP_FLAGS 13
#define FLAG_SYN  0x02
#define FLAG_ACK  0x10

static __always_inline bool is_start(const void *header, __u8 proto)
{
	__u8 flags = 0;

	if (proto != IPPROTO_TCP)
		return true;
	bpf_probe_read_kernel(&flags, sizeof(flags), header + TCP_FLAGS);
	return (flags & (FLAG_SYN | FLAG_ACK)) == FLAG_SYN;
}

/* Fills in the endpoints of a packet, the source as the local one, and whether it starts something. */
static __always_inline bool read_packet(struct scratch *s, struct sk_buff *skb,
					const struct port_key *key)
{
	struct endpoints *at = &s->packet;
	void *ip =
		BPF_CORE_READ(skb, head) + BPF_CORE_READ(skb, network_header);
	__u32 addrs[2];
	__u16 ports[2];
	__u8 first;
	void *next;

	if (bpf_probe_read_kernel(&first, sizeof(first), ip))
		return false;
	if (first >> 4 == 4) {
		bpf_probe_read_kernel(addrs, sizeof(addrs), ip + 12);
		map_ipv4(at->laddr, addrs[0]);
		map_ipv4(at->raddr, addrs[1]);
		next = ip + (first & 0xf) * 4;
	} else if (first >> 4 == 6) {
		bpf_probe_read_kernel(at->laddr, sizeof(at->laddr), ip + 8);
		bpf_probe_read_kernel(at->raddr, sizeof(at->raddr), ip + 24);
		next = behind_ipv6(ip, key->proto);
	} else {
		return false;
	}
	if (bpf_probe_read_kernel(ports, sizeof(ports), next))
		return false;
	at->netns = key->netns;
	at->proto = key->proto;
	at->__padding = 0;
	at->__padding2 = 0;
	at->lport = bpf_ntohs(ports[0]);
	at->rport = bpf_ntohs(ports[1]);
	s->starts = is_start(next, key->proto);
	return true;
}

/*
 * gadget_socket_by_packet: in place of bpf_map_lookup_elem(&gadget_sockets, key) in programs for packets.  The
 * key says which of the packet's ports is the local one.
 */
static __noinline struct owner *
gadget_socket_by_packet(void *map, const struct port_key *key)
{
	struct scratch *s = scratch();
	__u32 zero = 0;
	__u64 *slot = bpf_map_lookup_elem(&gadget_packet, &zero);
	struct sk_buff *skb;
	struct owner *o;
	bool leaves;

	if (!s || !slot || !*slot)
		return bpf_map_lookup_elem(map, key);
	skb = (struct sk_buff *)*slot;
	if (!read_packet(s, skb, key) ||
	    (key->port != s->packet.lport && key->port != s->packet.rport))
		return bpf_map_lookup_elem(
			map, key); /* it asks for something else */
	leaves = BPF_CORE_READ_BITFIELD_PROBED(skb, pkt_type) ==
		 PACKET_OUTGOING;
	if (key->port != s->packet.lport ||
	    (key->port == s->packet.rport && !leaves))
		swap_ends(&s->packet);
	o = owner_at(s, leaves);
	if (o || leaves || s->packet.lport != s->packet.rport)
		return o;
	swap_ends(
		&s->packet); /* at an interface a packet does not say which way it goes */
	return owner_at(s, false);
}

/* ---- Sockets ---- */

static __always_inline __u64 cookie_of(const struct sock *sk)
{
	const struct request_sock *request = (const struct request_sock *)sk;

	if (BPF_CORE_READ(sk, __sk_common.skc_state) == TCP_NEW_SYN_RECV)
		sk = BPF_CORE_READ(request, __req_common.skc_listener);
	return BPF_CORE_READ(sk, __sk_common.skc_cookie.counter);
}

/*
 * gadget_socket_by_sock: in place of __gadget_socket_by_sock() of <gadget/sockets-map.h>.  The
 * type of @sk is left out: with it the kernel would be told all types that a socket leads to.
 */
static __noinline struct owner *
gadget_socket_by_sock(const struct sock *sk, const struct port_key *key)
{
	struct scratch *s = scratch();
	struct owner *o;

	if (!s)
		return NULL;
	o = owner_of(cookie_of(sk));
	if (o)
		return o;
	if (!endpoints_of(&s->packet, sk, key->proto))
		return NULL;
	s->starts = key->proto != IPPROTO_TCP;
	return owner_at(s, false);
}

/* Keeps the functions in the object.  It is never loaded. */
SEC("socket")
int keep(struct __sk_buff *skb)
{
	struct port_key key = {.port = skb->len};
	void *map = &gadget_packet;
	const struct port_key *of = &key;
	const struct sock *sk = (const struct sock *)skb;
	struct owner *o;

	/* The compiler would build arguments that it knows into the functions. */
	barrier_var(map);
	barrier_var(of);
	barrier_var(sk);
	o = gadget_socket_by_packet(map, of);
	if (!o)
		o = gadget_socket_by_sock(sk, of);
	return o ? (__u32)o->pid_tgid : 0;
}

char LICENSE[] SEC("license") = "GPL";
