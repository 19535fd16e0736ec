// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Programs for packets, sockets and cgroups, with the kernel's types. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>

#define GADGET_TYPE_NETWORKING
#include <gadget/buffer.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/packetfilter.h>
#include <gadget/sockets-map.h>
#include <gadget/types.h>

#define TC_ACT_UNSPEC (-1)

struct event {
	gadget_timestamp timestamp_raw;
	__u32 len;
	__u32 op;
};

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(packets, events, event);

struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u64);
} socks SEC(".maps");

GADGET_SK_TARGET_MAP(ig_verdict, socks);
GADGET_SK_TARGET_MAP(ig_parser, socks);
GADGET_SK_TARGET_MAP(ig_msg, socks);

GADGET_PF(in)
GADGET_PF(out);

static __always_inline void report(void *ctx, __u32 len, __u32 op)
{
	struct event event = {
		.timestamp_raw = bpf_ktime_get_boot_ns(),
		.len = len,
		.op = op,
	};

	gadget_output_buf(ctx, &events, &event, sizeof(event));
}

SEC("classifier/ingress/drop")
int ig_ingress(struct __sk_buff *skb)
{
	if (gadget_pf_matches(in, skb, (void *)(long)skb->data,
			      (void *)(long)skb->data_end))
		report(skb, skb->len, 0);
	return TC_ACT_UNSPEC;
}

SEC("classifier/egress/drop")
int ig_egress(struct __sk_buff *skb)
{
	if (gadget_pf_matches(out, skb, (void *)(long)skb->data,
			      (void *)(long)skb->data_end) &&
	    !gadget_should_discard_data_by_skb(
		    gadget_socket_lookup_with_direction(skb, false)))
		report(skb, skb->len, 1);
	return TC_ACT_UNSPEC;
}

SEC("xdp")
int ig_xdp(struct xdp_md *ctx)
{
	report(ctx, ctx->data_end - ctx->data, 2);
	return XDP_PASS;
}

SEC("sockops")
int ig_sockops(struct bpf_sock_ops *ctx)
{
	__u32 key = ctx->local_port;

	if (ctx->op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB)
		bpf_sock_hash_update(ctx, &socks, &key, BPF_ANY);
	return 0;
}

SEC("sk_skb/stream_parser")
int ig_parser(struct __sk_buff *skb)
{
	return skb->len;
}

SEC("sk_skb/stream_verdict")
int ig_verdict(struct __sk_buff *skb)
{
	report(skb, skb->len, 3);
	return SK_PASS;
}

SEC("sk_msg")
int ig_msg(struct sk_msg_md *msg)
{
	report(msg, msg->size, 4);
	return SK_PASS;
}

char LICENSE[] SEC("license") = "GPL";
