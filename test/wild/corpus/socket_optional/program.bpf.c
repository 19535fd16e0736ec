// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* The optional fields of a socket's owner, as the guide shows them. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <gadget/buffer.h>
#include <gadget/types.h>
#define GADGET_TYPE_TRACING
#include <gadget/sockets-map.h>
#include <gadget/filter.h>

struct event {
	struct gadget_process proc;
	char cwd[512];
	char exepath[512];
};

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(drops, events, event);

SEC("tracepoint/skb/kfree_skb")
int ig_drop(struct trace_event_raw_kfree_skb *ctx)
{
	struct sk_buff *skb = ctx->skbaddr;
	struct gadget_socket_value *skb_val;
	struct event *event;
	struct sock *sk;

	sk = BPF_CORE_READ(skb, sk);
	if (!sk)
		return 0;
	skb_val = gadget_socket_lookup(
		sk, BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum));
	if (gadget_should_discard_data_by_skb(skb_val))
		return 0;
	event = gadget_reserve_buf(&events, sizeof(*event));
	if (!event)
		return 0;
	gadget_process_populate_from_socket(skb_val, &event->proc);
	event->cwd[0] = event->exepath[0] = 0;
	if (skb_val) {
		bool cwd_exists = bpf_core_field_exists(skb_val->cwd);
		int cwd_len = bpf_core_field_size(skb_val->cwd);

		if (cwd_exists) {
			if (cwd_len > 512)
				cwd_len = 512;
			bpf_probe_read_kernel_str(&event->cwd, cwd_len,
						  skb_val->cwd);
		}
		if (bpf_core_field_exists(skb_val->exepath))
			bpf_probe_read_kernel_str(&event->exepath, 512,
						  skb_val->exepath);
	}
	gadget_submit_buf(ctx, &events, event, sizeof(*event));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
