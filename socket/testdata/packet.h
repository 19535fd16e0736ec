/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Copyright The gizmo Authors */
#ifndef __PACKET_H
#define __PACKET_H

/*
 * What the gadgets of the tests report of a packet of TCP or UDP, and of the owner of its socket.  Before
 * including this, define LOAD(packet, off, to, size), which reads from the IP header on and returns 0 if
 * it could.
 */

#define PATH_SIZE 256

/* Which program saw the packet. */
enum hook {
	TAP,
	QUEUED,
	RECEIVED,
};

struct event {
	__u64 time; /* CLOCK_MONOTONIC */
	__u32 netns;
	__u8 hook;
	__u8 outgoing;
	__u8 version; /* of IP */
	__u8 proto;
	__u16 lport;
	__u16 rport;
	__u16 size; /* of the payload */
	__u8 flags; /* of TCP */
	__u8 ambiguous;
	__u32 payload[2]; /* its first bytes */
	__u32 pid;	  /* of the owner; 0: there is none */
	__u32 ppid;
	char comm[TASK_COMM_LEN];
	__u8 laddr[16];
	char cwd[PATH_SIZE];
	char exepath[PATH_SIZE];
};

/* Whether to report the paths. */
const volatile bool paths = false;
GADGET_PARAM(paths);

GADGET_TRACER_MAP(events, 1 << 22);
GADGET_TRACER(packets, events, event);

/* The network namespaces of the test.  Programs that see packets of all namespaces ask. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u32);
} watched SEC(".maps");

static __always_inline bool is_watched(__u32 netns)
{
	return bpf_map_lookup_elem(&watched, &netns) != NULL;
}

static __always_inline bool read_ip(void *packet, struct event *e, __u32 *at,
				    __u32 *end)
{
	struct ipv6hdr ip6;
	struct iphdr ip4;
	__u8 *addr;

	if (LOAD(packet, 0, &ip4, sizeof(ip4)))
		return false;
	e->version = ip4.version;
	if (ip4.version == 4) {
		e->proto = ip4.protocol;
		addr = (__u8 *)(e->outgoing ? &ip4.saddr : &ip4.daddr);
		__builtin_memcpy(e->laddr, addr, 4);
		*at = ip4.ihl * 4;
		*end = bpf_ntohs(ip4.tot_len);
		return true;
	}
	if (ip4.version != 6 || LOAD(packet, 0, &ip6, sizeof(ip6)))
		return false;
	e->proto = ip6.nexthdr;
	addr = (__u8 *)(e->outgoing ? &ip6.saddr : &ip6.daddr);
	__builtin_memcpy(e->laddr, addr, 16);
	*at = sizeof(ip6);
	*end = sizeof(ip6) + bpf_ntohs(ip6.payload_len);
	return true;
}

/* Fills in what the packet says.  @e is zero, but for outgoing. */
static __always_inline bool read_packet(void *packet, struct event *e)
{
	__u32 at, end;
	__u16 ports[2];
	__u8 bits[2];

	if (!read_ip(packet, e, &at, &end) ||
	    (e->proto != IPPROTO_TCP && e->proto != IPPROTO_UDP) ||
	    LOAD(packet, at, ports, sizeof(ports)))
		return false;
	e->lport = bpf_ntohs(e->outgoing ? ports[0] : ports[1]);
	e->rport = bpf_ntohs(e->outgoing ? ports[1] : ports[0]);
	if (e->proto == IPPROTO_UDP) {
		at += sizeof(struct udphdr);
	} else {
		if (LOAD(packet, at + 12, bits, sizeof(bits)))
			return false;
		e->flags = bits[1];
		at += (bits[0] >> 4) * 4;
	}
	e->size = end - at;
	if (e->size >= sizeof(e->payload) &&
	    LOAD(packet, at, e->payload, sizeof(e->payload)))
		return false;
	return true;
}

static __always_inline void fill_owner(struct event *e,
				       struct gadget_socket_value *owner)
{
	e->time = bpf_ktime_get_ns();
	if (!owner)
		return;
	e->pid = owner->pid_tgid >> 32;
	e->ppid = owner->ppid;
	__builtin_memcpy(e->comm, owner->task, sizeof(e->comm));
	if (bpf_core_field_exists(owner->ambiguous))
		e->ambiguous = owner->ambiguous;
	if (!paths)
		return;
	if (bpf_core_field_exists(owner->cwd))
		bpf_probe_read_kernel_str(e->cwd, sizeof(e->cwd), owner->cwd);
	if (bpf_core_field_exists(owner->exepath))
		bpf_probe_read_kernel_str(e->exepath, sizeof(e->exepath),
					  owner->exepath);
}

#endif /* __PACKET_H */
