/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef __GADGET_PACKET_H
#define __GADGET_PACKET_H

/*
 * Where things are in a packet of TCP or UDP, for programs that look at packets
 * (socket filters, tc).  The packet begins with its Ethernet header, or, from an
 * interface that has none, with its IP header.
 *
 *	struct gadget_packet packet;
 *
 *	if (!gadget_packet_parse(skb, &packet) || packet.dport != 80)
 *		return 0;
 *	gadget_packet_endpoints(skb, &packet, &event->src, &event->dst);
 *
 * What a packet says about itself is never trusted: all reads are within the packet,
 * whatever its headers say, and the number of headers is limited.
 */

#include <gadget/base.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include <gadget/types.h>

struct gadget_packet {
	__u32 net;	   /* where the IP header begins */
	__u32 transport;   /* where the header of TCP or UDP begins */
	__u32 payload;	   /* where its data begins; gadget_packet_payload() */
	__u32 payload_len; /* bytes of data within the packet */
	__u32 end;	   /* where the IP packet ends; Ethernet may pad */
	__u32 seq;	   /* of TCP: the number of the first byte of data */
	__u16 sport;	   /* host byte order */
	__u16 dport;
	__u8 proto;   /* IPPROTO_TCP or IPPROTO_UDP */
	__u8 version; /* of IP: 4 or 6 */
};

#define __GADGET_PACKET_IP	0x0800
#define __GADGET_PACKET_IPV6	0x86dd
#define __GADGET_PACKET_VLAN	0x8100
#define __GADGET_PACKET_QINQ	0x88a8
#define __GADGET_PACKET_TCP	6
#define __GADGET_PACKET_UDP	17
#define __GADGET_PACKET_SENT	4 /* PACKET_OUTGOING */
#define __GADGET_PACKET_HEADERS 8 /* of IPv6, that are skipped */

static __always_inline bool __gadget_packet_is_ip(__u16 type)
{
	return type == __GADGET_PACKET_IP || type == __GADGET_PACKET_IPV6;
}

static __always_inline bool __gadget_packet_is_vlan(__u16 type)
{
	return type == __GADGET_PACKET_VLAN || type == __GADGET_PACKET_QINQ;
}

/*
 * Finds the IP header.  An interface without Ethernet headers shows in that the type
 * in the place of an Ethernet header is not the one that the kernel knows.  The kernel
 * has removed the outermost VLAN tag of most packets; up to two may be left.
 */
static __always_inline bool __gadget_packet_link(const struct __sk_buff *skb,
						 struct gadget_packet *p)
{
	__u16 known = bpf_ntohs(skb->protocol), type = 0;

	p->net = 0;
	if (bpf_skb_load_bytes(skb, 12, &type, sizeof(type)))
		return false;
	type = bpf_ntohs(type);
	if (type == known) {
		p->net = 14;
	} else if (__gadget_packet_is_vlan(known)) {
		/* The packet begins after the type. */
		type = known;
	} else {
		return __gadget_packet_is_ip(known);
	}
#pragma unroll
	for (int i = 0; i < 2; i++) {
		if (!__gadget_packet_is_vlan(type))
			break;
		if (bpf_skb_load_bytes(skb, p->net + 2, &type, sizeof(type)))
			return false;
		type = bpf_ntohs(type);
		p->net += 4;
	}
	return __gadget_packet_is_ip(type);
}

/* Later fragments have no ports. */
static __always_inline bool __gadget_packet_ipv4(const struct __sk_buff *skb,
						 struct gadget_packet *p,
						 const __u8 header[12])
{
	__u32 words = header[0] & 0xf, len = header[2] << 8 | header[3];

	if (words < 5 || (header[6] & 0x1f) | header[7])
		return false;
	p->transport = p->net + words * 4;
	p->proto = header[9];
	if (len) /* else it is too large for the field */
		p->end = p->net + len;
	return true;
}

/* Skips one header of IPv6; false if there is no next one in this packet. */
static __always_inline bool __gadget_packet_skip(const struct __sk_buff *skb,
						 struct gadget_packet *p)
{
	__u8 header[4];

	if (bpf_skb_load_bytes(skb, p->transport, header, sizeof(header)))
		return false;
	switch (p->proto) {
	case 44: /* fragment; the first has the offset 0 */
		if (header[2] | (header[3] & 0xf8))
			return false;
		p->transport += 8;
		break;
	case 51: /* authentication */
		p->transport += (header[1] + 2) * 4;
		break;
	case 0: /* hop-by-hop, routing, destination */
	case 43:
	case 60:
		p->transport += (header[1] + 1) * 8;
		break;
	default:
		return false;
	}
	p->proto = header[0];
	return true;
}

static __always_inline bool __gadget_packet_has_ports(__u8 proto)
{
	return proto == __GADGET_PACKET_TCP || proto == __GADGET_PACKET_UDP;
}

static __always_inline bool __gadget_packet_ipv6(const struct __sk_buff *skb,
						 struct gadget_packet *p,
						 const __u8 header[12])
{
	__u32 len = header[4] << 8 | header[5];

	p->transport = p->net + 40;
	p->proto = header[6];
	if (len)
		p->end = p->transport + len;
	for (int i = 0; i < __GADGET_PACKET_HEADERS; i++) {
		if (__gadget_packet_has_ports(p->proto))
			return true;
		if (!__gadget_packet_skip(skb, p))
			return false;
	}
	return true;
}

static __always_inline void __gadget_packet_ends(struct gadget_packet *p,
						 __u32 end)
{
	if (p->end > end)
		p->end = end;
}

/*
 * gadget_packet_parse: finds the IP header and the header of TCP or UDP, and reads the
 * ports.  Fills @p except for the payload.
 *
 * Returns false for all other packets, also for fragments other than the first.  Costs three
 * reads of the packet, and one for each VLAN tag and each extension header of IPv6.
 */
static __always_inline bool gadget_packet_parse(const struct __sk_buff *skb,
						struct gadget_packet *p)
{
	__u8 header[12];
	__u16 ports[4];
	bool ok;

	if (!__gadget_packet_link(skb, p) ||
	    bpf_skb_load_bytes(skb, p->net, header, sizeof(header)))
		return false;
	p->end = skb->len;
	p->payload = p->payload_len = p->seq = 0;
	p->version = header[0] >> 4;
	if (p->version == 4)
		ok = __gadget_packet_ipv4(skb, p, header);
	else if (p->version == 6)
		ok = __gadget_packet_ipv6(skb, p, header);
	else
		return false;
	if (!ok || !__gadget_packet_has_ports(p->proto) ||
	    bpf_skb_load_bytes(skb, p->transport, ports, sizeof(ports)))
		return false;
	p->sport = bpf_ntohs(ports[0]);
	p->dport = bpf_ntohs(ports[1]);
	if (p->proto == __GADGET_PACKET_TCP)
		p->seq = (__u32)bpf_ntohs(ports[2]) << 16 | bpf_ntohs(ports[3]);
	else if (ports[2]) /* else it is too large for the field */
		__gadget_packet_ends(p, p->transport + bpf_ntohs(ports[2]));
	__gadget_packet_ends(p, skb->len);
	return true;
}

/*
 * gadget_packet_payload: finds the data of TCP or UDP, in a packet of gadget_packet_parse().
 * Returns false if there is none.  Costs one read of a packet of TCP.
 */
static __always_inline bool gadget_packet_payload(const struct __sk_buff *skb,
						  struct gadget_packet *p)
{
	__u8 words = 0;

	if (p->proto == __GADGET_PACKET_TCP) {
		if (bpf_skb_load_bytes(skb, p->transport + 12, &words,
				       sizeof(words)) ||
		    words >> 4 < 5)
			return false;
		p->payload = p->transport + (words >> 4) * 4;
	} else {
		p->payload = p->transport + 8;
	}
	if (p->payload >= p->end)
		return false;
	p->payload_len = p->end - p->payload;
	return true;
}

/*
 * gadget_packet_endpoints: the addresses and ports of a packet of gadget_packet_parse().
 * Fills every byte of @src and @dst.  Costs one or two reads of the packet.
 */
static __always_inline void gadget_packet_endpoints(
	const struct __sk_buff *skb, const struct gadget_packet *p,
	struct gadget_l4endpoint_t *src, struct gadget_l4endpoint_t *dst)
{
	__builtin_memset(src, 0, sizeof(*src));
	__builtin_memset(dst, 0, sizeof(*dst));
	src->version = dst->version = p->version;
	src->proto = dst->proto = p->proto;
	src->port = p->sport;
	dst->port = p->dport;
	if (p->version == 4) {
		__u32 addrs[2] = {};

		bpf_skb_load_bytes(skb, p->net + 12, addrs, sizeof(addrs));
		src->addr_raw.v4 = addrs[0];
		dst->addr_raw.v4 = addrs[1];
	} else {
		bpf_skb_load_bytes(skb, p->net + 8, &src->addr_raw,
				   sizeof(src->addr_raw));
		bpf_skb_load_bytes(skb, p->net + 24, &dst->addr_raw,
				   sizeof(dst->addr_raw));
	}
}

/*
 * One direction of a connection, as one interface shows it.  A packet that passes several
 * interfaces, or is sent and received on this machine, is in several flows.  No padding.
 */
struct gadget_packet_flow {
	union gadget_ip_addr_t src;
	union gadget_ip_addr_t dst;
	__u32 netns_id;
	__u32 ifindex;
	__u16 sport;
	__u16 dport;
	__u16 proto;
	__u16 outgoing;
};

/*
 * gadget_packet_flow: the flow of a packet of gadget_packet_parse(), for use as the key of a
 * map.  Costs what gadget_packet_endpoints() costs.
 */
static __always_inline void gadget_packet_flow(const struct __sk_buff *skb,
					       const struct gadget_packet *p,
					       struct gadget_packet_flow *flow)
{
	struct gadget_l4endpoint_t src, dst;

	gadget_packet_endpoints(skb, p, &src, &dst);
	flow->src = src.addr_raw;
	flow->dst = dst.addr_raw;
	flow->netns_id = skb->cb[0];
	flow->ifindex = skb->ifindex;
	flow->sport = p->sport;
	flow->dport = p->dport;
	flow->proto = p->proto;
	flow->outgoing = skb->pkt_type == __GADGET_PACKET_SENT;
}

#endif /* __GADGET_PACKET_H */
