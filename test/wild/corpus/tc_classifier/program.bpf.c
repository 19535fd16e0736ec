// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* tc on both ways with a packet filter. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#define GADGET_TYPE_NETWORKING
#include <gadget/buffer.h>
#include <gadget/macros.h>
#include <gadget/packetfilter.h>
#include <gadget/types.h>

#define TC_ACT_UNSPEC (-1)

struct event {
	gadget_timestamp timestamp_raw;
	__u32 ifindex;
	__u32 len;
	__u8 egress;
};

const volatile u16 snaplen = 1500;
GADGET_PARAM(snaplen);

GADGET_PF();

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(packets, events, event);

static __always_inline int packet(struct __sk_buff *skb, __u8 egress)
{
	struct event e = {};

	if (!gadget_pf_matches(skb, skb->data, skb->data_end))
		return TC_ACT_UNSPEC;
	e.timestamp_raw = bpf_ktime_get_boot_ns();
	e.ifindex = skb->ifindex;
	e.len = skb->len > snaplen ? snaplen : skb->len;
	e.egress = egress;
	gadget_output_buf(skb, &events, &e, sizeof(e));
	return TC_ACT_UNSPEC;
}

SEC("classifier/ingress/main")
int ingress_main(struct __sk_buff *skb)
{
	return packet(skb, 0);
}

SEC("classifier/egress/main")
int egress_main(struct __sk_buff *skb)
{
	return packet(skb, 1);
}

char LICENSE[] SEC("license") = "GPL";
