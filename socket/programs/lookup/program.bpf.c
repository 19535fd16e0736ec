// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/*
 * Functions that find the owner of a socket.  gizmo links them into gadgets' programs, in place of
 * the look-ups of <gadget/sockets-map.h>, which know the local port only.  So they may use no
 * variables, and little stack: that of the program counts, too.
 */

#include "../owners.h"

#define PACKET_OUTGOING 4

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
 * What a search finds: the cookie of a socket, or the place of one that is closed; 0: nothing.  Functions
 * that the verifier checks once for each program, and not again at each call, can only return
 * numbers; with pointers in their place it took five times as long.
 */
#define FOUND_PAST (1ULL << 63) /* and the place */
#define FOUND_MARKED \
	(1ULL << 62) /* the socket of another process may be meant */

static __always_inline __u64 existing(__u64 cookie)
{
	return owner_of(cookie) ? cookie : 0;
}

/*
 * One of the sockets that have exactly these endpoints.  If there are several, a datagram that
 * is sent belongs to the current process.  Otherwise the kernel has not decided yet.
 */
static __always_inline __u64 member(struct scratch *s, bool sends)
{
	struct set *set = bpf_map_lookup_elem(&gadget_socket_sets, &s->at);
	__u64 first = 0, marked = 0;
	struct owner *o;
	__u32 tgid;

	if (!set)
		return 0;
	if (!(set->cookies[1] | set->cookies[2] | set->cookies[3]))
		return existing(set->cookies[0]);
	tgid = sends && s->at.proto == IPPROTO_UDP ? current_tgid() : 0;
	for (int i = 0; i < SET_SIZE; i++) {
		o = set->cookies[i] ? owner_of(set->cookies[i]) : NULL;
		if (!o)
			continue;
		if (tgid && o->pid_tgid >> 32 == tgid)
			return set->cookies[i];
		if (first)
			marked = FOUND_MARKED;
		else
			first = set->cookies[i];
	}
	return first | marked;
}

/*
 * For how long packets belong to a socket that has been closed: TIME_WAIT lasts 60 seconds.  Later the process
 * of another socket may have the endpoints, in a namespace that got the number of this one, say.
 */
#define PAST_NS (60 * 1000000000ULL)

/* A socket that has been closed. */
static __always_inline __u64 gone(struct scratch *s)
{
	__u32 place = place_of(&s->at);
	struct past *past = bpf_map_lookup_elem(&gadget_socket_past, &place);

	if (!past || !same_endpoints(&past->at, &s->at) ||
	    bpf_ktime_get_ns() - past->owner.deletion_timestamp > PAST_NS)
		return 0;
	return FOUND_PAST | place;
}

/* How a listener waits for packets with any local address. */
static __always_inline void any_ipv4(struct scratch *s)
{
	map_ipv4(s->at.laddr, 0);
}

static __always_inline bool is_ipv6only(__u64 found)
{
	struct owner *o = owner_of(found & ~FOUND_MARKED);

	return o && o->ipv6only;
}

static __always_inline __u64 waiting(struct scratch *s, bool ipv4, bool sends)
{
	__u64 found = member(s, sends);

	if (!found && ipv4) {
		any_ipv4(s);
		found = member(s, sends);
	}
	if (found)
		return found;
	clear_addr(s->at.laddr);
	found = member(s, sends);
	return found && ipv4 && is_ipv6only(found) ? 0 : found;
}

/* The same among those that have been closed. */
static __always_inline __u64 waited(struct scratch *s, bool ipv4)
{
	__u64 found;

	copy_addr(s->at.laddr, s->packet.laddr);
	found = gone(s);
	if (!found && ipv4) {
		any_ipv4(s);
		found = gone(s);
	}
	if (found)
		return found;
	clear_addr(s->at.laddr);
	return gone(s);
}

/* The listener that has answered the first packet of a connection. */
static __always_inline __u64 answering(struct scratch *s)
{
	struct begun *begun;

	if (s->at.proto != IPPROTO_TCP)
		return 0;
	begun = begun_of(&s->at);
	if (!begun || !same_endpoints(&begun->at, &s->at))
		return 0;
	return existing(begun->listener);
}

/*
 * Finds the socket whose packets have the endpoints s->packet: a connection, or one that was
 * closed, or a socket that waits for any peer.  A connection that was closed still gets packets, but the first packet of
 * another one may have the same endpoints.  So may datagrams: UDP does not keep ports for a while.
 * @sends: the packet is sent by the current process
 */
__noinline __u64 gadget_socket_find(__u32 sends)
{
	struct scratch *s = scratch();
	__u64 found;
	bool ipv4;

	if (!s)
		return 0;
	ipv4 = s->packet.laddr[2] == bpf_htonl(0xffff) &&
	       !(s->packet.laddr[0] | s->packet.laddr[1]);
	s->at = s->packet;
	found = member(s, sends);
	if (!found)
		found = answering(s);
	if (!found && !s->starts)
		found = gone(s);
	if (found)
		return found;
	s->at.rport = 0;
	clear_addr(s->at.raddr);
	found = waiting(s, ipv4, sends);
	if (found || s->at.proto == IPPROTO_TCP)
		return found; /* a connection never belongs to a listener that was closed before */
	s->at = s->packet;
	found = gone(s);
	if (found)
		return found;
	s->at.rport = 0;
	clear_addr(s->at.raddr);
	return waited(s, ipv4);
}

/* The owner that a search has found.  The program's own copy of one that may be the wrong one is marked. */
static __always_inline struct owner *owner_found(struct scratch *s, __u64 found)
{
	struct past *past;
	struct owner *o;
	__u32 place = found;

	if (!found)
		return NULL;
	if (found & FOUND_PAST) {
		past = bpf_map_lookup_elem(&gadget_socket_past, &place);
		return past ? &past->owner : NULL;
	}
	o = owner_of(found & ~FOUND_MARKED);
	if (!o || !(found & FOUND_MARKED))
		return o;
	/* With the paths behind it. */
	bpf_probe_read_kernel(
		&s->copy, bpf_core_type_size(struct gadget_socket_value), o);
	s->copy.ambiguous = 1;
	return &s->copy;
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
					__u32 netns, __u8 proto)
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
		next = behind_ipv6(ip, proto);
	} else {
		return false;
	}
	if (bpf_probe_read_kernel(ports, sizeof(ports), next))
		return false;
	at->netns = netns;
	at->proto = proto;
	at->__padding = 0;
	at->__padding2 = 0;
	at->lport = bpf_ntohs(ports[0]);
	at->rport = bpf_ntohs(ports[1]);
	s->starts = is_start(next, proto);
	return true;
}

#define ASKS_FOR_ANOTHER (~0ULL)

/*
 * Finds the socket of a packet on the local side.
 * @address:    the kernel's struct sk_buff
 * @proto_port: the protocol, and in the higher half the port on the local side
 *
 * Returns ASKS_FOR_ANOTHER if the packet does not have the port.
 */
__noinline __u64 gadget_socket_find_packet(__u64 address, __u32 netns,
					   __u32 proto_port)
{
	struct sk_buff *skb = (struct sk_buff *)address;
	struct scratch *s = scratch();
	__u16 port = proto_port >> 16;
	__u64 found;
	bool leaves;

	if (!s || !read_packet(s, skb, netns, proto_port) ||
	    (port != s->packet.lport && port != s->packet.rport))
		return ASKS_FOR_ANOTHER;
	leaves = BPF_CORE_READ_BITFIELD_PROBED(skb, pkt_type) ==
		 PACKET_OUTGOING;
	if (port != s->packet.lport || (port == s->packet.rport && !leaves))
		swap_ends(&s->packet);
	found = gadget_socket_find(leaves);
	if (found || leaves || s->packet.lport != s->packet.rport)
		return found;
	/* At an interface a packet does not say which way it goes. */
	swap_ends(&s->packet);
	return gadget_socket_find(false);
}

/*
 * gadget_socket_by_packet: in place of bpf_map_lookup_elem(&gadget_sockets, key) in programs for packets.  The
 * key says which of the packet's ports is the local one.
 */
static __noinline struct owner *
gadget_socket_by_packet(void *map, const struct port_key *key)
{
	__u32 zero = 0;
	__u64 *skb = bpf_map_lookup_elem(&gadget_packet, &zero);
	struct scratch *s = scratch();
	__u64 found;

	if (!s || !skb || !*skb)
		return bpf_map_lookup_elem(map, key);
	found = gadget_socket_find_packet(*skb, key->netns,
					  (__u32)key->port << 16 | key->proto);
	if (found == ASKS_FOR_ANOTHER)
		return bpf_map_lookup_elem(map, key);
	return owner_found(s, found);
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
gadget_socket_by_sock(const void *sk, const struct port_key *key)
{
	struct scratch *s = scratch();
	struct owner *o;

	if (!s)
		return NULL;
	o = owner_of(cookie_of(sk));
	if (o)
		return o;
	if (!endpoints_of(&s->packet, sk, family_of(sk), key->proto))
		return NULL;
	s->starts = key->proto != IPPROTO_TCP;
	return owner_found(s, gadget_socket_find(false));
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
