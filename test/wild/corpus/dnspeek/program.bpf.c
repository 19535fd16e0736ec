// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include <vmlinux.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#define GADGET_TYPE_NETWORKING
#include <gadget/sockets-map.h>

#include <gadget/buffer.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/types.h>

#define ETH_P_IP	0x0800
#define ETH_P_IPV6	0x86DD
#define ETH_HLEN	14
#define PACKET_HOST	0
#define PACKET_OUTGOING 4
#define MAX_NAME	128
#define MAX_LABELS	128

struct dnshdr {
	__u16 id;
	__u16 flags;
	__u16 qdcount;
	__u16 ancount;
	__u16 nscount;
	__u16 arcount;
};

enum dns_kind : __u8 {
	query,
	reply,
};

enum dns_rcode : __u8 {
	NoError = 0,
	FormErr = 1,
	ServFail = 2,
	NXDomain = 3,
	NotImp = 4,
	Refused = 5,
};

struct event {
	gadget_timestamp timestamp_raw;
	gadget_netns_id netns_id;
	struct gadget_process proc;
	struct gadget_l4endpoint_t src;
	struct gadget_l4endpoint_t dst;
	struct gadget_l3endpoint_t server;
	gadget_duration latency_raw;
	__u16 id;
	__u16 answers;
	enum dns_kind kind_raw;
	enum dns_rcode rcode_raw;
	char name[MAX_NAME];
};

struct query_key {
	__u32 netns;
	__u16 port;
	__u16 id;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 2048);
	__type(key, struct query_key);
	__type(value, __u64);
} asked SEC(".maps");

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(dns, events, event);

const volatile __u16 dns_port = 53;
GADGET_PARAM(dns_port);

static __always_inline int read_name(struct __sk_buff *skb, __u32 off, char *name)
{
	__u8 left = 0, c;
	int n = 0;

	for (int i = 0; i < MAX_LABELS; i++) {
		if (bpf_skb_load_bytes(skb, off + i, &c, 1))
			break;
		if (left == 0) {
			if (c == 0 || (c & 0xC0))
				break;
			left = c;
			if (i == 0)
				continue;
			c = '.';
		} else {
			left--;
		}
		if (n < MAX_NAME - 1)
			name[n++] = c;
	}
	return n;
}

SEC("socket1")
int dnspeek(struct __sk_buff *skb)
{
	struct event *ev;
	struct dnshdr dns;
	struct udphdr udp;
	struct ethhdr eth;
	__u32 l4 = 0, key_port;
	__u8 version, proto;
	struct iphdr ip4 = {};
	struct ipv6hdr ip6 = {};

	if (skb->pkt_type != PACKET_HOST && skb->pkt_type != PACKET_OUTGOING)
		return 0;
	if (bpf_skb_load_bytes(skb, 0, &eth, sizeof(eth)))
		return 0;

	switch (bpf_ntohs(eth.h_proto)) {
	case ETH_P_IP:
		if (bpf_skb_load_bytes(skb, ETH_HLEN, &ip4, sizeof(ip4)))
			return 0;
		proto = ip4.protocol;
		version = 4;
		l4 = ETH_HLEN + ip4.ihl * 4;
		break;
	case ETH_P_IPV6:
		if (bpf_skb_load_bytes(skb, ETH_HLEN, &ip6, sizeof(ip6)))
			return 0;
		proto = ip6.nexthdr;
		version = 6;
		l4 = ETH_HLEN + sizeof(ip6);
		break;
	default:
		return 0;
	}
	if (proto != IPPROTO_UDP)
		return 0;
	if (bpf_skb_load_bytes(skb, l4, &udp, sizeof(udp)))
		return 0;
	if (bpf_ntohs(udp.source) != dns_port && bpf_ntohs(udp.dest) != dns_port)
		return 0;
	if (bpf_skb_load_bytes(skb, l4 + sizeof(udp), &dns, sizeof(dns)))
		return 0;

	struct gadget_socket_value *owner = gadget_socket_lookup(skb);
	if (gadget_should_discard_data_by_skb(owner))
		return 0;

	ev = gadget_reserve_buf(&events, sizeof(*ev));
	if (!ev)
		return 0;
	__builtin_memset(ev, 0, sizeof(*ev));

	ev->timestamp_raw = bpf_ktime_get_boot_ns();
	ev->netns_id = skb->cb[0]; // filled by the dispatcher
	ev->src.version = ev->dst.version = version;
	ev->src.proto_raw = ev->dst.proto_raw = proto;
	ev->src.port = bpf_ntohs(udp.source);
	ev->dst.port = bpf_ntohs(udp.dest);
	if (version == 4) {
		ev->src.addr_raw.v4 = ip4.saddr;
		ev->dst.addr_raw.v4 = ip4.daddr;
	} else {
		__builtin_memcpy(&ev->src.addr_raw.v6, &ip6.saddr, sizeof(ip6.saddr));
		__builtin_memcpy(&ev->dst.addr_raw.v6, &ip6.daddr, sizeof(ip6.daddr));
	}

	ev->id = bpf_ntohs(dns.id);
	ev->kind_raw = (bpf_ntohs(dns.flags) & 0x8000) ? reply : query;
	ev->rcode_raw = bpf_ntohs(dns.flags) & 0xf;
	ev->answers = bpf_ntohs(dns.ancount);
	ev->server.version = version;
	ev->server.addr_raw = ev->kind_raw == query ? ev->dst.addr_raw : ev->src.addr_raw;

	key_port = ev->kind_raw == query ? ev->src.port : ev->dst.port;
	struct query_key key = { .netns = ev->netns_id, .port = key_port, .id = ev->id };
	if (ev->kind_raw == query) {
		__u64 now = ev->timestamp_raw;
		bpf_map_update_elem(&asked, &key, &now, BPF_ANY);
	} else {
		__u64 *then = bpf_map_lookup_elem(&asked, &key);
		if (then) {
			ev->latency_raw = ev->timestamp_raw - *then;
			bpf_map_delete_elem(&asked, &key);
		}
	}

	read_name(skb, l4 + sizeof(udp) + sizeof(dns), ev->name);
	gadget_process_populate_from_socket(owner, &ev->proc);
	gadget_submit_buf(skb, &events, ev, sizeof(*ev));
	return 0;
}

char _license[] SEC("license") = "GPL";
