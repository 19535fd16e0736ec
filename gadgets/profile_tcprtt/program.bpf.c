// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/*
 * Counts the round-trip times of TCP connections, as a histogram: the smoothed time that the
 * kernel keeps for each connection, once for each packet that an established connection
 * receives.
 */

#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>

#include <gadget/bits.bpf.h>
#include <gadget/constants.h>
#include <gadget/macros.h>
#include <gadget/maps.bpf.h>
#include <gadget/types.h>

#define MAX_ENTRIES 10240
#define MAX_SLOTS   27

struct hist_key {
	gadget_netns_id netns_id;
	struct gadget_l3endpoint_t remote; /* zeros without targ_per_address */
};

struct hist {
	gadget_histogram_slot__u32 latency[MAX_SLOTS];
};

const volatile __u16 targ_sport = 0;
GADGET_PARAM(targ_sport);

const volatile __u16 targ_dport = 0;
GADGET_PARAM(targ_dport);

const volatile bool targ_ms = false;
GADGET_PARAM(targ_ms);

const volatile bool targ_per_address = false;
GADGET_PARAM(targ_per_address);

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_ENTRIES);
	__type(key, struct hist_key);
	__type(value, struct hist);
} hists SEC(".maps");

GADGET_MAPITER(tcprtt, hists);

/* Packets for which there was no room. */
GADGET_LOST_COUNTER(hists);

/* How an entry begins. */
static const struct hist nothing;

/*
 * The kernel knows the type of a tracepoint's socket, which a program may read by plain
 * loads.  To a kprobe it is a number.  @typed is a constant.
 */
#define READ(typed, sk, member) \
	((typed) ? (sk)->member : BPF_CORE_READ(sk, member))

static __always_inline __u32 netns_of(const struct sock *sk, bool typed)
{
	if (typed)
		return sk->__sk_common.skc_net.net->ns.inum;
	return BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
}

/* IPv4 through a socket of IPv6, too, has the address as IPv4 has it. */
static __always_inline void fill_address(struct gadget_l3endpoint_t *to,
					 const struct sock *sk, bool typed)
{
	__u32 v6[4];

	if (READ(typed, sk, __sk_common.skc_family) == AF_INET) {
		to->version = 4;
		to->addr_raw.v4 = READ(typed, sk, __sk_common.skc_daddr);
		return;
	}
	BPF_CORE_READ_INTO(&v6, sk, __sk_common.skc_v6_daddr);
	if (v6[0] == 0 && v6[1] == 0 && v6[2] == bpf_htonl(0xffff)) {
		to->version = 4;
		to->addr_raw.v4 = v6[3];
		return;
	}
	to->version = 6;
	__builtin_memcpy(to->addr_raw.v6, v6, sizeof(v6));
}

static __always_inline bool is_other_port(const struct sock *sk, bool typed)
{
	if (targ_sport != 0 &&
	    targ_sport != READ(typed, sk, __sk_common.skc_num))
		return true;
	return targ_dport != 0 &&
	       targ_dport != bpf_ntohs(READ(typed, sk, __sk_common.skc_dport));
}

static __always_inline int count(const struct sock *sk, bool typed)
{
	struct hist_key key = {};
	struct hist *hist;
	__u64 slot;
	__u32 rtt;

	if (is_other_port(sk, typed))
		return 0;
	rtt = BPF_CORE_READ((const struct tcp_sock *)sk, srtt_us);
	if (rtt == 0) /* the kernel has not measured it yet */
		return 0;
	key.netns_id = netns_of(sk, typed);
	if (targ_per_address)
		fill_address(&key.remote, sk, typed);
	hist = bpf_map_lookup_or_try_init(&hists, &key, &nothing);
	if (!hist) {
		gadget_count_lost(hists);
		return 0;
	}
	/* The kernel keeps eighths. */
	slot = get_slot_idx((rtt >> 3) / (targ_ms ? 1000 : 1));
	if (slot >= MAX_SLOTS)
		slot = MAX_SLOTS - 1;
	__sync_fetch_and_add(&hist->latency[slot], 1);
	return 0;
}

/* At the beginning of tcp_rcv_established(). */
SEC("tp_btf/tcp_probe")
int BPF_PROG(tcprtt_probe, struct sock *sk, struct sk_buff *skb)
{
	return count(sk, true);
}

SEC("kprobe/tcp_rcv_established")
int BPF_KPROBE(tcprtt_kprobe, struct sock *sk)
{
	return count(sk, false);
}

GADGET_PREFER(tcprtt_probe, tcprtt_kprobe);

char LICENSE[] SEC("license") = "GPL";
