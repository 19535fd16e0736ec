// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Reports the connections to a port of this host, and the data of those sockets that
 * somebody puts into a map.
 */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include <gadget/buffer.h>
#include <gadget/macros.h>

enum program {
	SOCKOPS,
	PARSER,
	VERDICT,
	MESSAGE,
	BIND,
};

struct event {
	__u32 program;
	__u32 size;
};

/* The port of the connections that are reported. */
const volatile __u16 port = 0;
GADGET_PARAM(port);

GADGET_TRACER_MAP(events, 4096);
GADGET_TRACER(data, events, event);

struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} receivers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} senders SEC(".maps");

GADGET_SK_TARGET_MAP(on_parser, receivers);
GADGET_SK_TARGET_MAP(on_verdict, receivers);
GADGET_SK_TARGET_MAP(on_message, senders);

static __always_inline void report(void *ctx, __u32 program, __u32 size)
{
	struct event *event = gadget_reserve_buf(&events, sizeof(*event));

	if (!event)
		return;
	event->program = program;
	event->size = size;
	gadget_submit_buf(ctx, &events, event, sizeof(*event));
}

SEC("sockops")
int on_sockops(struct bpf_sock_ops *ops)
{
	if (ops->op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB &&
	    bpf_ntohl(ops->remote_port) == port)
		report(ops, SOCKOPS, 0);
	return 1;
}

SEC("cgroup/post_bind4")
int on_bind(struct bpf_sock *sk)
{
	if (sk->src_port == port)
		report(sk, BIND, 0);
	return 1;
}

SEC("sk_skb/stream_parser")
int on_parser(struct __sk_buff *skb)
{
	report(skb, PARSER, skb->len);
	return skb->len;
}

SEC("sk_skb/stream_verdict")
int on_verdict(struct __sk_buff *skb)
{
	report(skb, VERDICT, skb->len);
	return SK_PASS;
}

SEC("sk_msg")
int on_message(struct sk_msg_md *msg)
{
	report(msg, MESSAGE, msg->size);
	return SK_PASS;
}

char LICENSE[] SEC("license") = "GPL";
