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

/* Adds one to counts[args[0]], which begins as args[1].  1: no room. */
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

char LICENSE[] SEC("license") = "GPL";
