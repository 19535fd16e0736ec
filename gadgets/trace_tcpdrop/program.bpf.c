// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/*
 * Reports the TCP packets that the kernel drops, and why.
 *
 * The kernel frees a packet at any point of its way, so little can be relied on: the
 * packet may have no headers yet, or no longer a device; its socket may be known from
 * the packet, from the tracepoint or not at all, and may be one of the smaller structs that
 * stand for connections that are being made or have ended.
 *
 * The program is a raw tracepoint and not tp_btf: since Linux 6.11 the tracepoint has a socket
 * that may be NULL, and verifiers that do not know this remove the check.
 */

#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>

#define GADGET_TYPE_TRACING
#include <gadget/buffer.h>
#include <gadget/constants.h>
#include <gadget/filter.h>
#include <gadget/kernel_stack_map.h>
#include <gadget/macros.h>
#include <gadget/sockets-map.h>
#include <gadget/types.h>

#define ETH_P_IP   0x0800
#define ETH_P_IPV6 0x86dd

/* The transport_header of a packet that has none yet. */
#define NO_HEADER 0xffff

/* The numbers are the kernel's, which has no names for them in its BTF. */
enum tcpdrop_state {
	tcp_none, /* no socket is known */
	tcp_established,
	tcp_syn_sent,
	tcp_syn_recv,
	tcp_fin_wait1,
	tcp_fin_wait2,
	tcp_time_wait,
	tcp_close,
	tcp_close_wait,
	tcp_last_ack,
	tcp_listen,
	tcp_closing,
	tcp_new_syn_recv,
};

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

struct event {
	gadget_timestamp timestamp_raw;
	gadget_netns_id netns_id;
	struct gadget_l4endpoint_t src;
	struct gadget_l4endpoint_t dst;

	/* The owner of the socket, or zeros. */
	gadget_mntns_id mount_ns_id;
	gadget_comm comm[TASK_COMM_LEN];
	gadget_pid pid;
	gadget_tid tid;
	gadget_uid uid;
	gadget_gid gid;

	enum tcpdrop_state state_raw;
	enum tcp_flags_set tcpflags_raw;
	enum skb_drop_reason reason_raw;
	gadget_kernel_stack kernel_stack_raw;
};

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(tcpdrop, events, event);

/*
 * What the tracepoint has beside the packet: since 5.17, by c504e5c2f964 ("net: skb:
 * introduce kfree_skb_reason()"), the reason, and since 6.11, by c53795d48ee8 ("net: add rx_sk to
 * trace_kfree_skb"), the socket that a packet was received for.
 */
static __always_inline bool has_reason(void)
{
	return bpf_core_field_exists(struct trace_event_raw_kfree_skb, reason);
}

static __always_inline bool has_rx_sk(void)
{
	return bpf_core_field_exists(struct trace_event_raw_kfree_skb, rx_sk);
}

static __always_inline __u32 not_specified(void)
{
	if (bpf_core_enum_value_exists(enum skb_drop_reason,
				       SKB_DROP_REASON_NOT_SPECIFIED))
		return bpf_core_enum_value(enum skb_drop_reason,
					   SKB_DROP_REASON_NOT_SPECIFIED);
	return SKB_DROP_REASON_NOT_SPECIFIED;
}

static __always_inline __u32
reason_of(const struct bpf_raw_tracepoint_args *ctx)
{
	if (has_reason())
		return ctx->args[2];
	return not_specified();
}

/*
 * Whether the packet was dropped, and not freed after its use: since 6.3, by 0e84afe8ebfb ("net:
 * dropreason: add SKB_CONSUMED reason"), there is a reason for that, too.
 */
static __always_inline bool is_drop(__u32 reason)
{
	if (bpf_core_enum_value_exists(enum skb_drop_reason, SKB_CONSUMED) &&
	    reason == bpf_core_enum_value(enum skb_drop_reason, SKB_CONSUMED))
		return false;
	return reason != SKB_NOT_DROPPED_YET;
}

/* The packet's socket, of any kind, or NULL. */
static __always_inline const struct sock *
socket_of(const struct bpf_raw_tracepoint_args *ctx, const struct sk_buff *skb)
{
	const struct sock *sk = BPF_CORE_READ(skb, sk);

	if (!sk && has_rx_sk())
		sk = (const struct sock *)ctx->args[3];
	return sk;
}

static __always_inline __u8 state_of(const struct sock *sk)
{
	return BPF_CORE_READ(sk, __sk_common.skc_state);
}

/* Whether the socket is a struct sock, and not only the struct sock_common at its beginning. */
static __always_inline bool is_full(const struct sock *sk)
{
	__u8 state = state_of(sk);

	return state != TCP_TIME_WAIT && state != TCP_NEW_SYN_RECV;
}

static __always_inline bool is_internet(const struct sock *sk)
{
	__u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);

	return family == AF_INET || family == AF_INET6;
}

/* Raw sockets, such as those with which the kernel itself answers, have no connection. */
static __always_inline bool is_tcp(const struct sock *sk)
{
	return BPF_CORE_READ_BITFIELD_PROBED(sk, sk_protocol) == IPPROTO_TCP &&
	       BPF_CORE_READ(sk, sk_type) == SOCK_STREAM;
}

/* What is known of a packet from its bytes, or else from its socket. */
struct packet {
	const unsigned char *head;
	__u32 end; /* of the bytes that are at head */
	__u32 tcp; /* where the header of TCP begins, or 0 */
	__u32 len; /* of the header of TCP and the data, or 0 */
	bool has_data;
	struct gadget_l4endpoint_t src;
	struct gadget_l4endpoint_t dst;
	enum tcp_flags_set flags;
};

static __always_inline bool has_bytes(const struct packet *p, __u32 at,
				      __u32 size)
{
	return at + size <= p->end;
}

/* The numbers of the extension headers of IPv6 that may come before TCP. */
#define NEXTHDR_HOP	 0
#define NEXTHDR_ROUTING	 43
#define NEXTHDR_FRAGMENT 44
#define NEXTHDR_DEST	 60
#define NEXTHDR_MAX	 4

/* Returns where the header of TCP begins, or 0 if another follows. */
static __always_inline __u32 skip_ipv6(const struct packet *p, __u32 at,
				       __u8 next)
{
	at += sizeof(struct ipv6hdr);
	for (int i = 0; i <= NEXTHDR_MAX; i++) {
		__u8 header[4];

		if (next == IPPROTO_TCP)
			return at;
		if (next != NEXTHDR_HOP && next != NEXTHDR_ROUTING &&
		    next != NEXTHDR_FRAGMENT && next != NEXTHDR_DEST)
			return 0;
		if (!has_bytes(p, at, sizeof(header)) ||
		    bpf_probe_read_kernel(header, sizeof(header), p->head + at))
			return 0;
		if (next != NEXTHDR_FRAGMENT)
			at += (header[1] + 1) * 8;
		else if (header[2] | (header[3] & 0xf8)) /* not the first */
			return 0;
		else
			at += 8;
		next = header[0];
	}
	return 0;
}

static __always_inline bool read_ipv4(struct packet *p, __u32 at)
{
	struct iphdr ip;

	if (!has_bytes(p, at, sizeof(ip)) ||
	    bpf_probe_read_kernel(&ip, sizeof(ip), p->head + at))
		return false;
	if (ip.version != 4 || ip.protocol != IPPROTO_TCP)
		return false;
	p->src.version = 4;
	p->dst.version = 4;
	p->src.addr_raw.v4 = ip.saddr;
	p->dst.addr_raw.v4 = ip.daddr;
	if (!(ip.frag_off & bpf_htons(0x1fff)))
		p->tcp = at + ip.ihl * 4;
	p->len = bpf_ntohs(ip.tot_len) - ip.ihl * 4;
	return true;
}

static __always_inline bool read_ipv6(struct packet *p, __u32 at)
{
	struct ipv6hdr ip;

	if (!has_bytes(p, at, sizeof(ip)) ||
	    bpf_probe_read_kernel(&ip, sizeof(ip), p->head + at))
		return false;
	if (ip.version != 6)
		return false;
	p->tcp = skip_ipv6(p, at, ip.nexthdr);
	if (!p->tcp)
		return false;
	p->len = at + sizeof(ip) + bpf_ntohs(ip.payload_len) - p->tcp;
	p->src.version = 6;
	p->dst.version = 6;
	__builtin_memcpy(p->src.addr_raw.v6, &ip.saddr, sizeof(ip.saddr));
	__builtin_memcpy(p->dst.addr_raw.v6, &ip.daddr, sizeof(ip.daddr));
	return true;
}

/*
 * Reads the addresses of a packet of TCP.  False if the packet has no header of IP, or is
 * not of TCP.
 */
static __always_inline bool read_ip(const struct sk_buff *skb, struct packet *p)
{
	__u32 at = BPF_CORE_READ(skb, network_header);

	if (!at) /* not set */
		return false;
	switch (bpf_ntohs(BPF_CORE_READ(skb, protocol))) {
	case ETH_P_IP:
		return read_ipv4(p, at);
	case ETH_P_IPV6:
		return read_ipv6(p, at);
	}
	return false;
}

/* The bytes of struct tcphdr that matter here. */
struct ports_and_flags {
	__be16 source, dest;
	__be32 seq, ack_seq;
	__u8 offset, flags;
};

static __always_inline void read_tcp(struct packet *p)
{
	struct ports_and_flags tcp = {};

	if (!p->tcp || !has_bytes(p, p->tcp, sizeof(tcp)))
		return;
	bpf_probe_read_kernel(&tcp, sizeof(tcp), p->head + p->tcp);
	p->src.port = bpf_ntohs(tcp.source);
	p->dst.port = bpf_ntohs(tcp.dest);
	p->flags = tcp.flags;
	p->has_data = p->len != (tcp.offset >> 4) * 4;
}

/* A packet that is sent, and has no header of IP yet, has the endpoints of its socket. */
static __always_inline void read_endpoints(const struct sock *sk,
					   struct packet *p)
{
	p->src.port = BPF_CORE_READ(sk, __sk_common.skc_num);
	p->dst.port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	if (BPF_CORE_READ(sk, __sk_common.skc_family) == AF_INET) {
		p->src.version = 4;
		p->dst.version = 4;
		p->src.addr_raw.v4 =
			BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr);
		p->dst.addr_raw.v4 = BPF_CORE_READ(sk, __sk_common.skc_daddr);
		return;
	}
	p->src.version = 6;
	p->dst.version = 6;
	BPF_CORE_READ_INTO(&p->src.addr_raw.v6, sk,
			   __sk_common.skc_v6_rcv_saddr);
	BPF_CORE_READ_INTO(&p->dst.addr_raw.v6, sk, __sk_common.skc_v6_daddr);
}

/*
 * Reads what the packet says of itself.  False if it is not of TCP.
 * @sk: its socket of TCP, or NULL
 * @p:  set, every member
 */
static __always_inline bool read_packet(const struct sk_buff *skb,
					const struct sock *sk, struct packet *p)
{
	__u16 transport;

	__builtin_memset(p, 0, sizeof(*p));
	p->head = BPF_CORE_READ(skb, head);
	p->end = BPF_CORE_READ(skb, tail);
	p->src.proto = IPPROTO_TCP;
	p->dst.proto = IPPROTO_TCP;
	if (!read_ip(skb, p)) {
		if (!sk)
			return false;
		transport = BPF_CORE_READ(skb, transport_header);
		p->tcp = transport == NO_HEADER ? 0 : transport;
		read_endpoints(sk, p);
	}
	read_tcp(p);
	return true;
}

/*
 * The network namespace: the socket's, or that of the interface at which the packet is, or of
 * the one that it was routed to after it had left the first.
 */
static __always_inline __u32 netns_of(const struct sk_buff *skb,
				      const struct sock *sk)
{
	const struct dst_entry *dst;
	__u32 netns;

	if (sk)
		return BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	netns = BPF_CORE_READ(skb, dev, nd_net.net, ns.inum);
	if (netns)
		return netns;
	/* The lowest bit says whether the packet holds a reference. */
	dst = (const void *)(BPF_CORE_READ(skb, _skb_refdst) & ~1UL);
	return BPF_CORE_READ(dst, dev, nd_net.net, ns.inum);
}

static __always_inline bool is_received(const struct sk_buff *skb)
{
	return BPF_CORE_READ(skb, skb_iif);
}

/* The owner of a socket or, for a connection that is being made, of the one that listens. */
static __always_inline const struct gadget_socket_value *
owner_of_socket(const struct sock *sk, __u32 netns)
{
	if (state_of(sk) == TCP_NEW_SYN_RECV) {
		sk = BPF_CORE_READ(sk, __sk_common.skc_listener);
		if (!sk)
			return NULL;
	}
	return is_full(sk) ? gadget_socket_lookup(sk, netns) : NULL;
}

/*
 * The owner of the socket that a packet was received for, by the port, if that socket is
 * not known: before 6.11.  Once a socket is found, TCP takes the packet's device away;
 * so this packet was for none of the sockets of another machine.
 */
static __always_inline const struct gadget_socket_value *
owner_of_port(const struct sk_buff *skb, const struct packet *p, __u32 netns)
{
	struct gadget_socket_key key = {
		.netns = netns,
		.family = p->dst.version == 4 ? AF_INET : AF_INET6,
		.proto = IPPROTO_TCP,
		.port = p->dst.port,
	};
	const struct gadget_socket_value *owner;

	if (has_rx_sk() || !is_received(skb) || BPF_CORE_READ(skb, dev))
		return NULL;
	owner = bpf_map_lookup_elem(&gadget_sockets, &key);
	if (owner || key.family == AF_INET6)
		return owner;
	key.family = AF_INET6; /* has packets of IPv4, too */
	owner = bpf_map_lookup_elem(&gadget_sockets, &key);
	return owner && !owner->ipv6only ? owner : NULL;
}

static __always_inline const struct gadget_socket_value *
owner_of(const struct sk_buff *skb, const struct sock *sk,
	 const struct packet *p, __u32 netns)
{
	return sk ? owner_of_socket(sk, netns) : owner_of_port(skb, p, netns);
}

/*
 * Whether the packet has done its work: the end of a connection stays in the queue of a
 * closed socket until the kernel frees the socket.  Acknowledgements, and ends that come
 * later, are freed as if they were dropped, but without a reason.
 */
static __always_inline bool is_used(const struct sk_buff *skb,
				    const struct sock *sk,
				    const struct packet *p, __u32 reason)
{
	if (!is_received(skb))
		return false;
	if (sk && (p->flags & FIN) && state_of(sk) == TCP_CLOSE &&
	    BPF_CORE_READ(skb, sk))
		return true;
	return (sk || !has_rx_sk()) && reason == not_specified() &&
	       (p->flags & ACK) && !(p->flags & (SYN | RST)) && !p->has_data;
}

/* Fills every byte. */
static __always_inline void fill_event(struct event *event,
				       const struct packet *p,
				       const struct gadget_socket_value *owner)
{
	__builtin_memset(event, 0, sizeof(*event));
	event->timestamp_raw = bpf_ktime_get_boot_ns();
	event->src = p->src;
	event->dst = p->dst;
	event->tcpflags_raw = p->flags;
	if (!owner)
		return;
	event->mount_ns_id = owner->mntns;
	event->pid = owner->pid_tgid >> 32;
	event->tid = (__u32)owner->pid_tgid;
	event->uid = (__u32)owner->uid_gid;
	event->gid = owner->uid_gid >> 32;
	__builtin_memcpy(event->comm, owner->task, sizeof(event->comm));
}

static __always_inline int report(void *ctx, const struct sk_buff *skb,
				  const struct sock *sk, __u32 reason)
{
	const struct gadget_socket_value *owner;
	struct packet packet;
	struct event *event;
	__u32 netns;

	if (!read_packet(skb, sk, &packet) || is_used(skb, sk, &packet, reason))
		return 0;
	netns = netns_of(skb, sk);
	owner = owner_of(skb, sk, &packet, netns);
	if (gadget_should_discard_data_by_skb(owner))
		return 0;
	event = gadget_reserve_buf(&events, sizeof(*event));
	if (!event)
		return 0;
	fill_event(event, &packet, owner);
	event->netns_id = netns;
	event->state_raw = sk ? state_of(sk) : tcp_none;
	event->reason_raw = reason;
	event->kernel_stack_raw = gadget_get_kernel_stack(ctx);
	gadget_submit_buf(ctx, &events, event, sizeof(*event));
	return 0;
}

SEC("raw_tp/kfree_skb")
int trace_tcpdrop(struct bpf_raw_tracepoint_args *ctx)
{
	const struct sk_buff *skb = (const struct sk_buff *)ctx->args[0];
	__u32 reason = reason_of(ctx);
	const struct sock *sk;

	if (!is_drop(reason))
		return 0;
	sk = socket_of(ctx, skb);
	if (sk && !is_internet(sk))
		return 0;
	if (sk && is_full(sk) && !is_tcp(sk)) {
		/* Raw sockets receive copies, which are no packets of TCP. */
		if (is_received(skb))
			return 0;
		sk = NULL;
	}
	return report(ctx, skb, sk, reason);
}

char LICENSE[] SEC("license") = "GPL";
