// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/*
 * Notes who talks to whom, for network policies: for each network namespace the servers that
 * it connects to, and the clients that its own ports get.
 *
 * A policy is about who begins.  TCP says so: a SYN without an ACK begins a connection.
 * UDP does not: the first packet of a flow that the program sees begins it, and the flow is
 * remembered, so that answers, which go the other way, begin nothing.
 */

#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#include <gadget/macros.h>
#include <gadget/maps.bpf.h>
#include <gadget/packet.h>
#include <gadget/types.h>

/* As linux/if_packet.h numbers them. */
#define PACKET_HOST	0
#define PACKET_OUTGOING 4

#define LOOPBACK_IFINDEX 1 /* in each network namespace */

#define TCP_FLAGS 13 /* where they are in the header */
#define TCP_SYN	  0x02
#define TCP_ACK	  0x10

/*
 * Where the ports of clients begin, unless the namespace has other
 * net.ipv4.ip_local_port_range.
 */
#define EPHEMERAL 32768

#define MAX_ENTRIES 10240
#define MAX_FLOWS   16384

/* Connections in an interval. */
const volatile __u32 packets_max_entries = MAX_ENTRIES;
GADGET_PARAM(packets_max_entries);

struct connection {
	gadget_netns_id netns_id;
	/* The peer's address, and the port of whoever is the server. */
	struct gadget_l4endpoint_t endpoint;
	__u8 egress; /* 1: the peer is the server */
};

struct seen {
	struct gadget_l3endpoint_t local;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_ENTRIES);
	__type(key, struct connection);
	__type(value, struct seen);
} packets SEC(".maps");

GADGET_MAPITER(network_connections, packets);

/* Packets for which there was no room. */
GADGET_LOST_COUNTER(packets);

/* A flow of UDP, in both directions.  No padding. */
struct flow {
	union gadget_ip_addr_t local;
	union gadget_ip_addr_t peer;
	__u32 netns_id;
	__u16 local_port;
	__u16 peer_port;
};

/* Flows that were not used for long make room for others. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAX_FLOWS);
	__type(key, struct flow);
	__type(value, __u8);
} flows SEC(".maps");

/*
 * The packet of a run.  The verifier does not follow what is in a map: else it would check
 * the program for each combination of headers.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct gadget_packet);
} scratch SEC(".maps");

static __always_inline bool begins_tcp(const struct __sk_buff *skb,
				       const struct gadget_packet *packet)
{
	__u8 flags = 0;

	bpf_skb_load_bytes(skb, packet->transport + TCP_FLAGS, &flags,
			   sizeof(flags));
	return (flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

/* No policy is about packets to several receivers. */
static __always_inline bool is_to_many(const struct gadget_l4endpoint_t *dst)
{
	if (dst->version == 6)
		return dst->addr_raw.v6[0] == 0xff;
	return dst->addr_raw.v6[0] >= 224;
}

/*
 * Whether the packet is the first of its flow.
 *
 * @egress: whether this end is the client.  The end that sends the first packet is, but the flow may
 * be older than the gadget, or forgotten.  So if exactly one port is ephemeral, it is the client's.
 */
static __always_inline bool begins_udp(const struct gadget_l4endpoint_t *local,
				       const struct gadget_l4endpoint_t *peer,
				       __u32 netns_id, bool *egress)
{
	struct flow flow = {
		.local = local->addr_raw,
		.peer = peer->addr_raw,
		.netns_id = netns_id,
		.local_port = local->port,
		.peer_port = peer->port,
	};
	__u8 known = 1;

	/* A look-up also tells the map that the flow is in use. */
	if (bpf_map_lookup_elem(&flows, &flow) ||
	    bpf_map_update_elem(&flows, &flow, &known, BPF_NOEXIST))
		return false;
	if (local->port >= EPHEMERAL && peer->port < EPHEMERAL)
		*egress = true;
	else if (local->port < EPHEMERAL && peer->port >= EPHEMERAL)
		*egress = false;
	return true;
}

static __always_inline void note(const struct gadget_l4endpoint_t *local,
				 const struct gadget_l4endpoint_t *peer,
				 __u32 netns_id, bool egress)
{
	struct connection connection;
	struct seen seen;

	__builtin_memset(&connection, 0, sizeof(connection));
	connection.netns_id = netns_id;
	connection.endpoint = *peer;
	if (!egress)
		connection.endpoint.port = local->port;
	connection.egress = egress;
	if (bpf_map_lookup_elem(&packets, &connection))
		return;
	__builtin_memset(&seen, 0, sizeof(seen));
	seen.local.addr_raw = local->addr_raw;
	seen.local.version = local->version;
	if (bpf_map_update_elem(&packets, &connection, &seen, BPF_ANY))
		gadget_count_lost(packets);
}

SEC("socket1")
int ig_trace_net(struct __sk_buff *skb)
{
	struct gadget_l4endpoint_t src, dst, *local, *peer;
	struct gadget_packet *packet;
	__u32 zero = 0;
	bool egress;

	if (skb->ifindex == LOOPBACK_IFINDEX ||
	    (skb->pkt_type != PACKET_HOST && skb->pkt_type != PACKET_OUTGOING))
		return 0;
	packet = bpf_map_lookup_elem(&scratch, &zero);
	if (!packet || !gadget_packet_parse(skb, packet))
		return 0;
	if (packet->proto == IPPROTO_TCP && !begins_tcp(skb, packet))
		return 0;
	gadget_packet_endpoints(skb, packet, &src, &dst);
	if (is_to_many(&dst))
		return 0;
	egress = skb->pkt_type == PACKET_OUTGOING;
	local = egress ? &src : &dst;
	peer = egress ? &dst : &src;
	if (packet->proto == IPPROTO_UDP &&
	    !begins_udp(local, peer, skb->cb[0], &egress))
		return 0;
	note(local, peer, skb->cb[0], egress);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
