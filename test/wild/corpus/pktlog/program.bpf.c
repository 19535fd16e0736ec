// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include <vmlinux.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_core_read.h>

#include <gadget/macros.h>
#include <gadget/types.h>
#include <gadget/buffer.h>
#include <gadget/filter.h>
#include <gadget/packetfilter.h>

#define GADGET_TYPE_NETWORKING
#include <gadget/sockets-map.h>

#define SNAP 256

struct packet_t {
	gadget_timestamp timestamp_raw;
	u8 ingress;
	u32 ifindex;
	u32 captured;
	u32 size;
	struct gadget_process proc;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(u32));
	__uint(value_size, sizeof(u32));
} packets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(u32));
	__uint(value_size, sizeof(struct packet_t));
} room SEC(".maps");

GADGET_TRACER(packets, packets, packet_t);

const volatile u16 snap = SNAP;
GADGET_PARAM(snap);

GADGET_PF();
GADGET_PF(loud);

static __always_inline int handle(struct __sk_buff *skb, bool ingress)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct gadget_socket_value *owner;
	struct packet_t *p;
	u64 len = skb->len;
	int zero = 0;

	if (!gadget_pf_matches((void *)skb, data, end))
		return -1;
	owner = gadget_socket_lookup_with_direction(skb, ingress);
	if (gadget_should_discard_data_by_skb(owner))
		return -1;

	p = bpf_map_lookup_elem(&room, &zero);
	if (!p)
		return -1;
	__builtin_memset(p, 0, sizeof(*p));
	p->timestamp_raw = bpf_ktime_get_boot_ns();
	p->ingress = ingress;
	p->ifindex = skb->ifindex;
	p->size = len;
	if (len > snap && !gadget_pf_matches(loud, (void *)skb, data, end))
		len = snap;
	p->captured = len;
	gadget_process_populate_from_socket(owner, &p->proc);
	bpf_perf_event_output(skb, &packets, len << 32 | BPF_F_CURRENT_CPU, p, sizeof(*p));
	return -1;
}

SEC("classifier/ingress/pktlog")
int pktlog_in(struct __sk_buff *skb)
{
	return handle(skb, true);
}

SEC("classifier/egress/pktlog")
int pktlog_out(struct __sk_buff *skb)
{
	return handle(skb, false);
}

char __license[] SEC("license") = "GPL";
