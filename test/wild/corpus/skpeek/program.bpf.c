// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Bytes sent and received per local port, seen in a sockhash. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include <gadget/buffer.h>
#include <gadget/macros.h>
#include <gadget/types.h>

#define AF_INET 2

struct tuple {
	__u32 laddr;
	__u32 raddr;
	__u32 lport;
	__u32 rport;
};

enum side : __u8 { outgoing = 1, incoming = 2 };

struct chunk {
	gadget_timestamp timestamp_raw;
	enum side side_raw;
	__u32 size;
	__u32 lport;
	char head[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 4096);
	__type(key, struct tuple);
	__type(value, __u64);
} conns SEC(".maps");

GADGET_TRACER_MAP(chunks, 1024 * 256);
GADGET_TRACER(chunks, chunks, chunk);

const volatile __u32 port = 0;
GADGET_PARAM(port);

static __always_inline void emit(void *ctx, enum side side, __u32 size, __u32 lport, char *head)
{
	struct chunk *c = gadget_reserve_buf(&chunks, sizeof(*c));

	if (!c)
		return;
	c->timestamp_raw = bpf_ktime_get_boot_ns();
	c->side_raw = side;
	c->size = size;
	c->lport = lport;
	__builtin_memcpy(c->head, head, sizeof(c->head));
	gadget_submit_buf(ctx, &chunks, c, sizeof(*c));
}

SEC("sockops")
int skpeek_add(struct bpf_sock_ops *ops)
{
	struct tuple t = {};

	if (ops->op != BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB || ops->family != AF_INET)
		return 0;
	t.laddr = ops->local_ip4;
	t.raddr = ops->remote_ip4;
	t.lport = ops->local_port;
	t.rport = bpf_ntohl(ops->remote_port);
	if (port && t.rport != port)
		return 0;
	bpf_sock_hash_update(ops, &conns, &t, BPF_ANY);
	return 0;
}

SEC("sk_msg")
int skpeek_out(struct sk_msg_md *msg)
{
	char *data = (void *)(long)msg->data;
	char *end = (void *)(long)msg->data_end;
	char head[16] = {};

	for (int i = 0; i < sizeof(head); i++) {
		if (data + i + 1 > end)
			break;
		head[i] = data[i];
	}
	emit(msg, outgoing, msg->size, msg->local_port, head);
	return SK_PASS;
}
GADGET_SK_TARGET_MAP(skpeek_out, conns);

SEC("sk_skb/stream_verdict")
int skpeek_in(struct __sk_buff *skb)
{
	char head[16] = {};
	__u32 n = skb->len;

	if (n > sizeof(head))
		n = sizeof(head);
	if (n == 0)
		return SK_PASS;
	bpf_skb_load_bytes(skb, 0, head, n);
	emit(skb, incoming, skb->len, skb->local_port, head);
	return SK_PASS;
}
GADGET_SK_TARGET_MAP(skpeek_in, conns);

char LICENSE[] SEC("license") = "GPL";
