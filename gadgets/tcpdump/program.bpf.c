// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Captures packets: one event for each packet that a network interface of a container
 * receives or sends, with as many of its bytes as the user wants.
 */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#define GADGET_TYPE_NETWORKING
#include <gadget/sockets-map.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/packetfilter.h>
#include <gadget/types.h>

#define PACKET_HOST	 0
#define PACKET_BROADCAST 1
#define PACKET_MULTICAST 2
#define PACKET_OUTGOING	 4
#define ARPHRD_ETHER	 1
#define TC_ACT_UNSPEC	 -1

/*
 * A sample of a perf buffer has at most 65,535 bytes, with headers and this struct, so
 * this is what a packet may take of it.  Packets of several segments that the kernel
 * has not divided yet are larger.
 */
#define MAX_PAYLOAD 65280

struct event {
	gadget_timestamp timestamp_raw;
	gadget_packet_type packet_type;
	__u32 ifindex;
	__u32 payload_len; /* bytes of the packet after this struct */
	__u32 packet_size;
	struct gadget_process proc;

	char ifname[16];
	__u32 vlan; /* protocol and tag, which the kernel keeps apart; 0: none */
	gadget_link_type link_type;
	gadget_netns_id netns_id;
	__u8 __padding[4];
};

/* Without GADGET_TRACER_MAP: only perf buffers take bytes straight from a packet. */
struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(max_entries, 0);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} packets SEC(".maps");

GADGET_TRACER(packets, packets, event);
GADGET_PF();

const volatile __u16 snaplen = 1500;
GADGET_PARAM(snaplen);

/* The interface, which only the kernel's struct describes. */
static __always_inline void fill_interface(struct event *event,
					   struct __sk_buff *skb)
{
	/* In a program the context's address is that of the kernel's struct. */
	struct sk_buff *kernel_skb = (struct sk_buff *)skb;
	struct net_device *dev = BPF_CORE_READ(kernel_skb, dev);

	event->ifindex = skb->ifindex;
	event->link_type = BPF_CORE_READ(dev, type);
	BPF_CORE_READ_STR_INTO(&event->ifname, dev, name);
	if (skb->vlan_present)
		event->vlan = bpf_ntohs((__u16)skb->vlan_proto) << 16 |
			      (skb->vlan_tci & 0xffff);
}

/*
 * skb->pkt_type is right only where an interface receives.  A container's packets are
 * seen at the other end of its interface, which sends what the container receives.
 */
static __always_inline __u8 packet_type(struct __sk_buff *skb, __u16 link,
					bool is_ingress)
{
	__u8 to[6];

	if (!is_ingress)
		return PACKET_OUTGOING;
	if (link != ARPHRD_ETHER ||
	    bpf_skb_load_bytes(skb, 0, to, sizeof(to)) || !(to[0] & 1))
		return PACKET_HOST;
	if ((to[0] & to[1] & to[2] & to[3] & to[4] & to[5]) == 0xff)
		return PACKET_BROADCAST;
	return PACKET_MULTICAST;
}

/* snaplen 0 is all of the packet, as for tcpdump(8). */
static __always_inline __u32 payload_len(struct __sk_buff *skb)
{
	__u32 len = skb->len;

	if (snaplen && len > snaplen)
		len = snaplen;
	return len < MAX_PAYLOAD ? len : MAX_PAYLOAD;
}

static __always_inline int capture(struct __sk_buff *skb, bool is_ingress)
{
	struct gadget_socket_value *owner;
	struct event event;
	__u64 flags;

	if (!gadget_pf_matches(skb, skb->data, skb->data_end))
		return TC_ACT_UNSPEC;
	owner = gadget_socket_lookup_with_direction(skb, is_ingress);
	if (gadget_should_discard_data_by_skb(owner))
		return TC_ACT_UNSPEC;

	__builtin_memset(&event, 0, sizeof(event));
	event.timestamp_raw = bpf_ktime_get_boot_ns();
	fill_interface(&event, skb);
	event.packet_type = packet_type(skb, event.link_type, is_ingress);
	event.packet_size = skb->len;
	event.payload_len = payload_len(skb);
	event.netns_id = skb->cb[0];
	gadget_process_populate_from_socket(owner, &event.proc);

	flags = (__u64)event.payload_len << 32 | BPF_F_CURRENT_CPU;
	bpf_perf_event_output(skb, &packets, flags, &event, sizeof(event));
	return TC_ACT_UNSPEC;
}

SEC("classifier/ingress/main")
int ig_tcpdump_in(struct __sk_buff *skb)
{
	return capture(skb, true);
}

SEC("classifier/egress/main")
int ig_tcpdump_out(struct __sk_buff *skb)
{
	return capture(skb, false);
}

char LICENSE[] SEC("license") = "GPL";
