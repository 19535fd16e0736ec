// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#include <gadget/buffer.h>
#include <gadget/macros.h>
#include <gadget/types.h>
#define GADGET_TYPE_NETWORKING
#include <gadget/sockets-map.h>
#include <gadget/mntns_filter.h>

#include "tls.h"

#define ETH_P_IP 0x0800
#define ETH_HLEN 14

struct event {
	gadget_timestamp timestamp_raw;
	gadget_netns_id netns_id;
	gadget_mntns_id mntns_id;
	gadget_pid pid;
	gadget_tid tid;
	gadget_uid uid_raw;
	gadget_gid gid_raw;
	gadget_comm comm[TASK_COMM_LEN];
	gadget_pcomm pcomm[TASK_COMM_LEN];
	gadget_ppid ppid;
	struct gadget_l3endpoint_t server;
	__u8 name[SNI_MAX];
};

// The verifier of old kernels wants the struct kept alive.
const struct event *unusedevent __attribute__((unused));

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(sni, events, event);

SEC("socket1")
int snicheck(struct __sk_buff *skb)
{
	struct ethhdr eth;
	struct iphdr ip;
	struct tcphdr tcp;
	__u32 off, len = 0;

	if (bpf_skb_load_bytes(skb, 0, &eth, sizeof eth) || eth.h_proto != bpf_htons(ETH_P_IP))
		return 0;
	if (bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof ip) || ip.protocol != IPPROTO_TCP)
		return 0;
	off = ETH_HLEN + (ip.ihl << 2);
	if (bpf_skb_load_bytes(skb, off, &tcp, sizeof tcp))
		return 0;
	off = find_sni(skb, off + (tcp.doff << 2), &len);
	if (!off || !len)
		return 0;

	struct event *event = gadget_reserve_buf(&events, sizeof(*event));
	if (!event)
		return 0;
	__builtin_memset(event, 0, sizeof(*event));
	event->timestamp_raw = bpf_ktime_get_boot_ns();
	event->netns_id = skb->cb[0];
	event->server.version = 4;
	event->server.addr_raw.v4 = ip.daddr;

#pragma unroll
	for (int i = 0; i < SNI_MAX - 1; i++) {
		if (i >= len)
			break;
		if (bpf_skb_load_bytes(skb, off + i, &event->name[i], 1))
			break;
	}

	struct gadget_socket_value *v = gadget_socket_lookup(skb);
	if (v != NULL) {
		if (gadget_should_discard_mntns_id(v->mntns)) {
			gadget_discard_buf(event);
			return 0;
		}
		event->mntns_id = v->mntns;
		event->pid = v->pid_tgid >> 32;
		event->tid = (__u32)v->pid_tgid;
		event->uid_raw = (__u32)v->uid_gid;
		event->gid_raw = v->uid_gid >> 32;
		event->ppid = v->ppid;
		__builtin_memcpy(event->comm, v->task, sizeof(event->comm));
		__builtin_memcpy(event->pcomm, v->ptask, sizeof(event->pcomm));
	}
	gadget_submit_buf(skb, &events, event, sizeof(*event));
	return 0;
}

char _license[] SEC("license") = "GPL";
