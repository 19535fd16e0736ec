// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Bytes and packets by peer, on the host's side of the container's interface. */
#include <vmlinux.h>

#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86DD

#define TC_ACT_OK 0
#define TC_ACT_UNSPEC -1

#include <stdbool.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_endian.h>
#include <gadget/types.h>
#include <gadget/macros.h>
#include <gadget/buffer.h>
#include <gadget/common.h>

#define GADGET_TYPE_NETWORKING
#include <gadget/sockets-map.h>

#define TASK_COMM_LEN 16

struct peer {
	struct gadget_l4endpoint_t remote;
	bool outgoing;
};

struct traffic {
	gadget_timestamp timestamp_raw;
	gadget_netns_id netns_id;
	struct gadget_process proc;
	gadget_counter__u64 packets;
	gadget_counter__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, struct peer);
	__type(value, struct traffic);
} traffic SEC(".maps");

GADGET_MAPITER(traffic, traffic);

const volatile struct gadget_l3endpoint_t only_ip = { 0 };
const volatile __u16 only_port = 0;
const volatile bool tcp = true;
const volatile bool udp = true;
GADGET_PARAM(only_ip);
GADGET_PARAM(only_port);
GADGET_PARAM(tcp);
GADGET_PARAM(udp);

static __always_inline bool read_l4(void *l4, void *end, __u8 proto, bool outgoing,
				    struct peer *peer)
{
	struct tcphdr *th = l4;
	struct udphdr *uh = l4;

	switch (proto) {
	case IPPROTO_TCP:
		if (!tcp || (void *)(th + 1) > end)
			return false;
		peer->remote.port = bpf_ntohs(outgoing ? th->dest : th->source);
		break;
	case IPPROTO_UDP:
		if (!udp || (void *)(uh + 1) > end)
			return false;
		peer->remote.port = bpf_ntohs(outgoing ? uh->dest : uh->source);
		break;
	default:
		return false;
	}
	peer->remote.proto_raw = proto;
	return !only_port || only_port == peer->remote.port;
}

static __always_inline int meter(struct __sk_buff *skb, bool outgoing)
{
	void *data = (void *)(long)skb->data;
	void *end = (void *)(long)skb->data_end;
	struct ethhdr *eth = data;
	struct traffic *t;
	struct peer peer;

	__builtin_memset(&peer, 0, sizeof(peer));
	peer.outgoing = outgoing;
	if ((void *)(eth + 1) > end)
		return TC_ACT_UNSPEC;

	if (eth->h_proto == bpf_htons(ETH_P_IP)) {
		struct iphdr *ip = (void *)(eth + 1);

		if ((void *)(ip + 1) > end)
			return TC_ACT_UNSPEC;
		peer.remote.version = 4;
		peer.remote.addr_raw.v4 = outgoing ? ip->daddr : ip->saddr;
		if (only_ip.version == 4 && only_ip.addr_raw.v4 != peer.remote.addr_raw.v4)
			return TC_ACT_UNSPEC;
		if (!read_l4((void *)ip + ip->ihl * 4, end, ip->protocol, outgoing, &peer))
			return TC_ACT_UNSPEC;
	} else if (eth->h_proto == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr *ip6 = (void *)(eth + 1);

		if ((void *)(ip6 + 1) > end)
			return TC_ACT_UNSPEC;
		peer.remote.version = 6;
		bpf_probe_read_kernel(peer.remote.addr_raw.v6, sizeof(peer.remote.addr_raw.v6),
				      outgoing ? ip6->daddr.in6_u.u6_addr8 :
						 ip6->saddr.in6_u.u6_addr8);
		if (!read_l4(ip6 + 1, end, ip6->nexthdr, outgoing, &peer))
			return TC_ACT_UNSPEC;
	} else {
		return TC_ACT_UNSPEC;
	}

	t = bpf_map_lookup_elem(&traffic, &peer);
	if (!t) {
		struct traffic fresh = {};

		fresh.netns_id = skb->cb[0];
		struct gadget_socket_value *v = gadget_socket_lookup(skb);
		if (v != NULL)
			gadget_process_populate_from_socket(v, &fresh.proc);
		fresh.timestamp_raw = bpf_ktime_get_boot_ns();
		fresh.packets = 1;
		fresh.bytes = skb->len;
		bpf_map_update_elem(&traffic, &peer, &fresh, BPF_NOEXIST);
		return TC_ACT_UNSPEC;
	}
	__sync_fetch_and_add(&t->packets, 1);
	__sync_fetch_and_add(&t->bytes, skb->len);
	t->timestamp_raw = bpf_ktime_get_boot_ns();
	return TC_ACT_UNSPEC;
}

SEC("classifier/egress/meter")
int tcmeter_out(struct __sk_buff *skb)
{
	return meter(skb, true);
}

SEC("classifier/ingress/meter")
int tcmeter_in(struct __sk_buff *skb)
{
	return meter(skb, false);
}

char __license[] SEC("license") = "GPL";
