// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Bursts of connection attempts to one destination. Two windows of counters
 * take turns: while one fills, the other is forgotten.
 */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/types.h>

#define AF_INET 2

struct dest {
	__u32 addr;
	__u16 port;
	__u16 pad;
};

struct hits {
	__u64 window;
	__u64 n;
};

struct inner {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct dest);
	__type(value, struct hits);
} even SEC(".maps"), odd SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, __u32);
	__array(values, struct inner);
} windows SEC(".maps") = {
	.values = { (void *)&even, (void *)&odd },
};

struct burst {
	gadget_timestamp timestamp_raw;
	struct gadget_process proc;
	struct gadget_l4endpoint_t dst;
	__u64 attempts;
};

GADGET_TRACER_MAP(bursts, 1024 * 64);
GADGET_TRACER(bursts, bursts, burst);

const volatile __u64 threshold = 10;
const volatile __u64 window_ms = 1000;
GADGET_PARAM(threshold);
GADGET_PARAM(window_ms);

/* seen from outside with bpftool */
__u64 attempts_total = 0;
__u64 bursts_total SEC(".data") = 1;

SEC("tracepoint/sock/inet_sock_set_state")
int connrate(struct trace_event_raw_inet_sock_set_state *ctx)
{
	__u64 now = bpf_ktime_get_ns() / 1000000 / (window_ms ? window_ms : 1);
	__u32 which = now & 1;
	struct dest d = {};
	struct hits *h, fresh = { .window = now };
	struct burst *b;
	void *map;

	if (ctx->protocol != IPPROTO_TCP || ctx->family != AF_INET ||
	    ctx->newstate != TCP_SYN_SENT)
		return 0;
	if (gadget_should_discard_data_current())
		return 0;
	__sync_fetch_and_add(&attempts_total, 1);

	map = bpf_map_lookup_elem(&windows, &which);
	if (!map)
		return 0;
	__builtin_memcpy(&d.addr, ctx->daddr, sizeof(d.addr));
	d.port = ctx->dport;

	h = bpf_map_lookup_elem(map, &d);
	if (!h || h->window != now) {
		fresh.n = 1;
		bpf_map_update_elem(map, &d, &fresh, BPF_ANY);
		return 0;
	}
	__sync_fetch_and_add(&h->n, 1);
	if (h->n != threshold)
		return 0;

	b = gadget_reserve_buf(&bursts, sizeof(*b));
	if (!b)
		return 0;
	__builtin_memset(b, 0, sizeof(*b));
	b->timestamp_raw = bpf_ktime_get_boot_ns();
	gadget_process_populate(&b->proc);
	b->dst.version = 4;
	b->dst.addr_raw.v4 = d.addr;
	b->dst.port = d.port;
	b->dst.proto_raw = IPPROTO_TCP;
	b->attempts = h->n;
	bursts_total++;
	gadget_submit_buf(ctx, &bursts, b, sizeof(*b));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
