// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include <gadget/macros.h>
#include <gadget/types.h>

#ifndef AF_INET
#define AF_INET 2
#endif

enum how {
	active,
	passive,
};

struct established {
	gadget_timestamp timestamp_raw;
	struct gadget_l4endpoint_t local;
	struct gadget_l4endpoint_t remote;
	enum how how_raw;
	__u32 srtt_us;
	__u32 cwnd;
	__u32 mss;
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} events SEC(".maps");

GADGET_TRACER(established, events, established);

SEC("sockops")
int rttsockops(struct bpf_sock_ops *ops)
{
	struct established *ev;
	int how;

	switch (ops->op) {
	case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
		how = active;
		break;
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
		how = passive;
		break;
	default:
		return 1;
	}
	if (ops->family != AF_INET)
		return 1;

	ev = bpf_ringbuf_reserve(&events, sizeof(*ev), 0);
	if (!ev)
		return 1;
	__builtin_memset(ev, 0, sizeof(*ev));
	ev->timestamp_raw = bpf_ktime_get_boot_ns();
	ev->how_raw = how;
	ev->local.version = ev->remote.version = 4;
	ev->local.proto_raw = ev->remote.proto_raw = IPPROTO_TCP;
	ev->local.addr_raw.v4 = ops->local_ip4;
	ev->remote.addr_raw.v4 = ops->remote_ip4;
	ev->local.port = ops->local_port;
	ev->remote.port = bpf_ntohl(ops->remote_port);
	ev->srtt_us = ops->srtt_us >> 3;
	ev->cwnd = ops->snd_cwnd;
	ev->mss = ops->mss_cache;
	bpf_ringbuf_submit(ev, 0);
	return 1;
}

char _license[] SEC("license") = "GPL";
