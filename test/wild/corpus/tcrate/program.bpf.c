// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Counts packets of an interface under a lock; a timer reports and starts anew. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/buffer.h>
#include <gadget/macros.h>
#include <gadget/types.h>

#define TC_ACT_UNSPEC	(-1)
#define CLOCK_MONOTONIC 1
#define MAX_IFACES	64

struct counts {
	struct bpf_spin_lock lock;
	__u32 ifindex;
	__u64 packets;
	__u64 bytes;
	__u64 largest;
};

struct alarm {
	struct bpf_timer timer;
	__u32 armed;
};

struct rate {
	gadget_timestamp timestamp_raw;
	__u32 ifindex;
	__u32 largest;
	__u64 packets;
	gadget_bytes bytes_raw;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_IFACES);
	__type(key, __u32);
	__type(value, struct counts);
} ifaces SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_IFACES);
	__type(key, __u32);
	__type(value, struct alarm);
} alarms SEC(".maps");

GADGET_TRACER_MAP(rates, 1024 * 64);
GADGET_TRACER(rates, rates, rate);

const volatile __u64 every_ns = 500000000;
GADGET_PARAM(every_ns);

static int on_timer(void *map, __u32 *key, struct alarm *alarm)
{
	struct rate rate = {};
	struct counts *c;
	__u32 k = *key;

	c = bpf_map_lookup_elem(&ifaces, &k);
	if (!c)
		return 0;
	bpf_spin_lock(&c->lock);
	rate.ifindex = c->ifindex;
	rate.packets = c->packets;
	rate.bytes_raw = c->bytes;
	rate.largest = c->largest;
	c->packets = 0;
	c->bytes = 0;
	c->largest = 0;
	bpf_spin_unlock(&c->lock);

	if (rate.packets) {
		rate.timestamp_raw = bpf_ktime_get_boot_ns();
		bpf_ringbuf_output(&rates, &rate, sizeof(rate), 0);
	}
	bpf_timer_start(&alarm->timer, every_ns, 0);
	return 0;
}

static __always_inline int account(struct __sk_buff *skb)
{
	__u32 k = skb->ifindex % MAX_IFACES;
	struct counts *c;
	struct alarm *a;

	c = bpf_map_lookup_elem(&ifaces, &k);
	a = bpf_map_lookup_elem(&alarms, &k);
	if (!c || !a)
		return TC_ACT_UNSPEC;

	bpf_spin_lock(&c->lock);
	c->ifindex = skb->ifindex;
	c->packets++;
	c->bytes += skb->len;
	if (skb->len > c->largest)
		c->largest = skb->len;
	bpf_spin_unlock(&c->lock);

	if (!a->armed) {
		a->armed = 1;
		bpf_timer_init(&a->timer, &alarms, CLOCK_MONOTONIC);
		bpf_timer_set_callback(&a->timer, on_timer);
		bpf_timer_start(&a->timer, every_ns, 0);
	}
	return TC_ACT_UNSPEC;
}

SEC("classifier/ingress/rate")
int tcrate_in(struct __sk_buff *skb)
{
	return account(skb);
}

SEC("classifier/egress/rate")
int tcrate_out(struct __sk_buff *skb)
{
	return account(skb);
}

char _license[] SEC("license") = "GPL";
