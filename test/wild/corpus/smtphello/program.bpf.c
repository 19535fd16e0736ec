// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
// Which processes greet mail servers, told by the EHLO/HELO line and not by the port.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <linux/types.h>
#include <stddef.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define GADGET_TYPE_NETWORKING

#include <gadget/macros.h>
#include <gadget/types.h>
#include <gadget/sockets-map.h>
#include <gadget/filter.h>

unsigned long long load_byte(const void *skb, unsigned long long off) asm("llvm.bpf.load.byte");
unsigned long long load_half(const void *skb, unsigned long long off) asm("llvm.bpf.load.half");
unsigned long long load_word(const void *skb, unsigned long long off) asm("llvm.bpf.load.word");

#define HELLO_MAX 64

struct hello_t {
	gadget_timestamp timestamp_raw;
	gadget_netns_id netns_id;
	struct gadget_process proc;
	struct gadget_l4endpoint_t client;
	struct gadget_l4endpoint_t server;
	__u8 extended;
	char domain[HELLO_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} hellos SEC(".maps");

GADGET_TRACER(hello, hellos, hello_t);

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct hello_t));
} room SEC(".maps");

SEC("socket1")
int smtphello(struct __sk_buff *skb)
{
	__u32 zero = 0, payload, tcp_off;
	struct hello_t *ev;
	char verb[5];

	if (skb->pkt_type != PACKET_OUTGOING)
		return 0;
	if (load_half(skb, offsetof(struct ethhdr, h_proto)) != ETH_P_IP)
		return 0;
	if (load_byte(skb, ETH_HLEN + offsetof(struct iphdr, protocol)) != IPPROTO_TCP)
		return 0;

	tcp_off = ETH_HLEN + (load_byte(skb, ETH_HLEN) & 0xf) * 4;
	payload = tcp_off + (load_byte(skb, tcp_off + 12) >> 4) * 4;
	if (payload + sizeof(verb) + 1 > skb->len)
		return 0;
	if (bpf_skb_load_bytes(skb, payload, verb, sizeof(verb)) < 0)
		return 0;
	if (!((verb[0] == 'E' && verb[1] == 'H') || (verb[0] == 'H' && verb[1] == 'E')) ||
	    verb[2] != 'L' || verb[3] != 'O' || verb[4] != ' ')
		return 0;

	struct gadget_socket_value *skb_val = gadget_socket_lookup(skb);
	if (gadget_should_discard_data_by_skb(skb_val))
		return 0;

	ev = bpf_map_lookup_elem(&room, &zero);
	if (!ev)
		return 0;
	__builtin_memset(ev, 0, sizeof(*ev));

	ev->timestamp_raw = bpf_ktime_get_boot_ns();
	ev->netns_id = skb->cb[0];
	ev->extended = verb[0] == 'E';
	ev->client.version = ev->server.version = 4;
	ev->client.proto_raw = ev->server.proto_raw = IPPROTO_TCP;
	ev->client.port = load_half(skb, tcp_off + offsetof(struct tcphdr, source));
	ev->server.port = load_half(skb, tcp_off + offsetof(struct tcphdr, dest));
	ev->client.addr_raw.v4 = bpf_htonl(load_word(skb, ETH_HLEN + offsetof(struct iphdr, saddr)));
	ev->server.addr_raw.v4 = bpf_htonl(load_word(skb, ETH_HLEN + offsetof(struct iphdr, daddr)));

	for (int i = 0; i < HELLO_MAX - 1; i++) {
		char c;
		if (bpf_skb_load_bytes(skb, payload + sizeof(verb) + i, &c, 1) < 0)
			break;
		if (c == '\r' || c == '\n' || c == ' ')
			break;
		ev->domain[i] = c;
	}

	gadget_process_populate_from_socket(skb_val, &ev->proc);
	bpf_perf_event_output(skb, &hellos, BPF_F_CURRENT_CPU, ev, sizeof(*ev));
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
