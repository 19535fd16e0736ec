// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* sockops with an sk_msg program and a sockhash. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include <gadget/buffer.h>
#include <gadget/macros.h>

struct event {
	__u32 op;
	__u32 port;
};

struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, __u32);
} socks SEC(".maps");

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(ops, events, event);
GADGET_SK_TARGET_MAP(ig_msg, socks);

SEC("sockops")
int ig_sockops(struct bpf_sock_ops *skops)
{
	struct event e = {.op = skops->op,
			  .port = bpf_ntohl(skops->remote_port)};
	__u64 key = ((__u64)skops->local_port << 32) | skops->remote_port;

	if (skops->op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB)
		bpf_sock_hash_update(skops, &socks, &key, BPF_ANY);
	gadget_output_buf(skops, &events, &e, sizeof(e));
	return 0;
}

SEC("sk_msg")
int ig_msg(struct sk_msg_md *msg)
{
	return SK_PASS;
}

char LICENSE[] SEC("license") = "GPL";
