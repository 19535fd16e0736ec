// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* The parser and verdict of streams. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/buffer.h>
#include <gadget/macros.h>

struct event {
	__u32 len;
};

struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u32);
} sock_map SEC(".maps");

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(streams, events, event);
GADGET_SK_TARGET_MAP(ig_parse, sock_map);
GADGET_SK_TARGET_MAP(ig_verdict, sock_map);

SEC("sk_skb/stream_parser")
int ig_parse(struct __sk_buff *skb)
{
	return skb->len;
}

SEC("sk_skb/stream_verdict")
int ig_verdict(struct __sk_buff *skb)
{
	struct event e = {.len = skb->len};

	gadget_output_buf(skb, &events, &e, sizeof(e));
	return SK_PASS;
}

char LICENSE[] SEC("license") = "GPL";
