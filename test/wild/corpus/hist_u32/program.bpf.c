// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* And with log2() for 32 bits, whose result is the index without another check. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/bits.bpf.h>
#include <gadget/macros.h>
#include <gadget/types.h>
#include <gadget/maps.bpf.h>

#define PROFILER_MAX_SLOTS 27

struct hist_key {
	u8 unused;
};

struct hist_value {
	gadget_histogram_slot__u32 latency[PROFILER_MAX_SLOTS];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct hist_key);
	__type(value, struct hist_value);
} hists SEC(".maps");

GADGET_MAPITER(wild, hists);

static struct hist_value initial_hist;

SEC("raw_tp/sys_enter")
int ig_hist(struct bpf_raw_tracepoint_args *ctx)
{
	struct hist_key key = {};
	struct hist_value *histp;
	u64 slot;

	histp = bpf_map_lookup_or_try_init(&hists, &key, &initial_hist);
	if (!histp)
		return 0;
	slot = log2((u32)ctx->args[1]) & 15;
	if (slot >= PROFILER_MAX_SLOTS)
		slot = PROFILER_MAX_SLOTS - 1;
	__sync_fetch_and_add(&histp->latency[slot], 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
