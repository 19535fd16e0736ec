// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A socket filter that takes its types from user space, as many do. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/types.h>
#include <linux/udp.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#define GADGET_NO_BUF_RESERVE
#include <gadget/buffer.h>
#include <gadget/macros.h>
#include <gadget/types.h>
#include <gadget/maps.bpf.h>
#include <gadget/fnv1a.h>
#include <gadget/bits.bpf.h>

#define GADGET_TYPE_NETWORKING
#include <gadget/sockets-map.h>
#include <gadget/filter.h>
#include <gadget/packetfilter.h>

#define PATH_LEN 512

#define AF_INET	    2
#define PACKET_HOST 0

unsigned long long load_byte(const void *skb,
			     unsigned long long off) asm("llvm.bpf.load.byte");
unsigned long long load_half(const void *skb,
			     unsigned long long off) asm("llvm.bpf.load.half");

struct event_t {
	gadget_timestamp timestamp_raw;
	gadget_netns_id netns_id;
	struct gadget_l4endpoint_t src;
	struct gadget_l4endpoint_t dst;
	struct gadget_process proc;
	__u32 hash;
	char cwd[PATH_LEN];
	char exepath[PATH_LEN];
};

const volatile __u16 port = 53;
GADGET_PARAM(port);
const volatile bool paths = false;
GADGET_PARAM(paths);

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(packets, events, event_t);

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct event_t);
} scratch SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} whole_packets SEC(".maps");
GADGET_TRACER(whole, whole_packets, event_t);

struct packet_key {
	__u64 hash;
};

struct packet_count {
	gadget_counter__u64 packets;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct packet_key);
	__type(value, struct packet_count);
} counts SEC(".maps");
GADGET_MAPITER(counts, counts);

const struct packet_count no_packets = {};

GADGET_PF();

static __always_inline unsigned int min(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

static __always_inline void add_paths(struct event_t *event,
				      struct gadget_socket_value *skb_val)
{
	bool cwd_exists = bpf_core_field_exists(skb_val->cwd);
	int cwd_len = bpf_core_field_size(skb_val->cwd);

	if (cwd_exists)
		bpf_probe_read_kernel_str(&event->cwd, min(cwd_len, PATH_LEN),
					  skb_val->cwd);
	if (bpf_core_field_exists(skb_val->exepath))
		bpf_probe_read_kernel_str(
			&event->exepath,
			min(bpf_core_field_size(skb_val->exepath), PATH_LEN),
			skb_val->exepath);
}

SEC("socket1")
int ig_packets(struct __sk_buff *skb)
{
	struct gadget_socket_value *skb_val;
	struct packet_count *count;
	struct packet_key key = {};
	struct event_t *event;
	__u32 zero = 0;
	struct iphdr iph;
	__u16 sport, dport;
	__u64 len;

	if (load_half(skb, offsetof(struct ethhdr, h_proto)) != ETH_P_IP)
		return 0;
	if (bpf_skb_load_bytes(skb, ETH_HLEN, &iph, sizeof(iph)))
		return 0;
	if (iph.protocol != IPPROTO_UDP)
		return 0;
	sport = load_half(skb, ETH_HLEN + sizeof(iph));
	dport = load_half(skb, ETH_HLEN + sizeof(iph) + 2);
	if (sport != port && dport != port)
		return 0;

	skb_val = gadget_socket_lookup(skb);
	if (gadget_should_discard_data_by_skb(skb_val))
		return 0;
	event = bpf_map_lookup_elem(&scratch, &zero);
	if (!event)
		return 0;

	event->cwd[0] = event->exepath[0] = '\0';
	event->src = event->dst = (struct gadget_l4endpoint_t){};
	event->timestamp_raw = bpf_ktime_get_boot_ns();
	event->netns_id = skb->cb[0];
	event->src.addr_raw.v4 = iph.saddr;
	event->dst.addr_raw.v4 = iph.daddr;
	event->src.port = sport;
	event->dst.port = dport;
	event->src.proto_raw = event->dst.proto_raw = iph.protocol;
	event->src.version = event->dst.version = 4;
	gadget_process_populate_from_socket(skb_val, &event->proc);
	if (paths && skb_val != NULL)
		add_paths(event, skb_val);
	event->hash = fnv_32a_init();
	fnv_32a_update_u16(&event->hash, sport);
	fnv_32a_update_u32(&event->hash, iph.saddr);
	key.hash = fnv_64a_init();
	fnv_64a_update_u8(&key.hash, iph.protocol);
	count = bpf_map_lookup_or_try_init(&counts, &key, &no_packets);
	if (count)
		__sync_fetch_and_add(&count->packets, log2(2));

	gadget_output_buf(skb, &events, event, sizeof(*event));
	len = skb->len;
	bpf_perf_event_output(skb, &whole_packets,
			      len << 32 | BPF_F_CURRENT_CPU, event,
			      sizeof(*event));
	return 0;
}

SEC("classifier/ingress/main")
int ig_ingress(struct __sk_buff *skb)
{
	if (!gadget_pf_matches((void *)skb, (void *)(long)skb->data,
			       (void *)(long)skb->data_end))
		return -1;
	if (gadget_should_discard_data_by_skb(
		    gadget_socket_lookup_with_direction(skb, 1)))
		return -1;
	return -1;
}

char _license[] SEC("license") = "GPL";
