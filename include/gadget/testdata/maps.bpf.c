// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/maps.bpf.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u64);
	__type(value, __u64);
} counts SEC(".maps");

/* Adds one to counts[args[0]], which is args[1] if it is new.  1: no room. */
SEC("raw_tp/count")
int count(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 key = ctx->args[0], init = ctx->args[1];
	__u64 *n = bpf_map_lookup_or_try_init(&counts, &key, &init);

	if (!n)
		return 1;
	__sync_fetch_and_add(n, 1);
	return 0;
}

__u64 taken;

/* Takes the count of args[0].  1: there was one. */
SEC("raw_tp/take")
int take(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 key = ctx->args[0], value = 0;
	bool found = gadget_map_take(&counts, &key, &value);

	taken = value;
	return found;
}

char LICENSE[] SEC("license") = "GPL";
