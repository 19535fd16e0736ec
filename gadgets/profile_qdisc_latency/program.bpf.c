// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/*
 * Counts how long packets wait in the queues of network interfaces, as a histogram.
 *
 * A packet is one struct while it waits, so its address tells which entry into a queue belongs
 * to which exit.  A packet that is dropped in the queue is freed without an exit, and
 * another packet may have its address afterwards.
 *
 * What leaves a queue may be several packets at once, a list, and may be NULL.  That program is a raw
 * tracepoint and not tp_btf: some verifiers take a typed argument for a pointer that is never
 * NULL, others allow nothing before a check.
 *
 * The tracepoint qdisc_enqueue is there since 5.15, by 70713dddf3d2 ("net_sched: introduce
 * tracepoint trace_qdisc_enqueue()").
 */

#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include <gadget/bits.bpf.h>
#include <gadget/macros.h>
#include <gadget/maps.bpf.h>
#include <gadget/types.h>

#define MAX_WAITING 32768
#define MAX_ENTRIES 10240
#define MAX_SLOTS   27
#define MAX_AT_ONCE 64
#define IFNAMSIZ    16

struct hist_key {
	gadget_netns_id netns_id;
	__s32 ifindex; /* 0 without targ_per_interface */
	char interface[IFNAMSIZ];
};

struct hist {
	gadget_histogram_slot__u32 latency[MAX_SLOTS];
};

const volatile int targ_ifindex = -1;
GADGET_PARAM(targ_ifindex);

const volatile bool targ_ms = false;
GADGET_PARAM(targ_ms);

const volatile bool targ_per_interface = false;
GADGET_PARAM(targ_per_interface);

/* Packets in queues, and since when. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_WAITING);
	__type(key, __u64);
	__type(value, __u64);
} waiting SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_ENTRIES);
	__type(key, struct hist_key);
	__type(value, struct hist);
} hists SEC(".maps");

GADGET_MAPITER(qdisc, hists);

/* Packets for which there was no room in either map. */
GADGET_LOST_COUNTER(hists);

/* How an entry begins. */
static const struct hist nothing;

SEC("tp_btf/qdisc_enqueue")
int BPF_PROG(qdisc_enter, struct Qdisc *qdisc, const struct netdev_queue *txq,
	     struct sk_buff *skb)
{
	__u64 id = (__u64)skb, now;

	if (targ_ifindex >= 0 && targ_ifindex != txq->dev->ifindex)
		return 0;
	now = bpf_ktime_get_ns();
	if (bpf_map_update_elem(&waiting, &id, &now, BPF_ANY))
		gadget_count_lost(hists);
	return 0;
}

static __always_inline void count(const struct net_device *dev, __u64 waited)
{
	struct hist_key key = {};
	struct hist *hist;
	__u64 slot;

	key.netns_id = BPF_CORE_READ(dev, nd_net.net, ns.inum);
	if (targ_per_interface) {
		key.ifindex = BPF_CORE_READ(dev, ifindex);
		BPF_CORE_READ_STR_INTO(&key.interface, dev, name);
	}
	hist = bpf_map_lookup_or_try_init(&hists, &key, &nothing);
	if (!hist) {
		gadget_count_lost(hists);
		return;
	}
	slot = get_slot_idx(waited / (targ_ms ? 1000000 : 1000));
	if (slot >= MAX_SLOTS)
		slot = MAX_SLOTS - 1;
	__sync_fetch_and_add(&hist->latency[slot], 1);
}

/* The arguments: Qdisc, netdev_queue, number of packets, the first of them. */
SEC("raw_tp/qdisc_dequeue")
int qdisc_leave(struct bpf_raw_tracepoint_args *ctx)
{
	const struct netdev_queue *txq = (const void *)ctx->args[1];
	int packets = ctx->args[2];
	__u64 id = ctx->args[3], since;

	for (int i = 0; i < packets && i < MAX_AT_ONCE; i++) {
		if (!id)
			break;
		if (gadget_map_take(&waiting, &id, &since))
			count(BPF_CORE_READ(txq, dev),
			      bpf_ktime_get_ns() - since);
		id = (__u64)BPF_CORE_READ((const struct sk_buff *)id, next);
	}
	return 0;
}

/* A packet that is freed in a queue leaves it without an exit. */
static __always_inline int forget(__u64 id)
{
	if (bpf_map_lookup_elem(&waiting, &id))
		bpf_map_delete_elem(&waiting, &id);
	return 0;
}

SEC("tp_btf/consume_skb")
int BPF_PROG(qdisc_consume, struct sk_buff *skb)
{
	return forget((__u64)skb);
}

SEC("tp_btf/kfree_skb")
int BPF_PROG(qdisc_free, struct sk_buff *skb)
{
	return forget((__u64)skb);
}

char LICENSE[] SEC("license") = "GPL";
