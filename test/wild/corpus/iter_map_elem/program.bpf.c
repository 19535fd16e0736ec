// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Walks a map of its own, which another program fills. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/macros.h>
#include <gadget/maps.bpf.h>
#include <gadget/types.h>

struct row {
	u32 pid;
	u64 calls;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, u32);
	__type(value, u64);
} calls SEC(".maps");

static const u64 no_calls = 0;

GADGET_ITER(calls_of, row, ig_walk);
GADGET_ITER_TARGET_MAP(ig_walk, calls);

SEC("tracepoint/syscalls/sys_enter_getpgid")
int ig_count(void *ctx)
{
	u32 pid = bpf_get_current_pid_tgid() >> 32;
	u64 *n = bpf_map_lookup_or_try_init(&calls, &pid, &no_calls);

	if (n)
		__sync_fetch_and_add(n, 1);
	return 0;
}

SEC("iter/bpf_map_elem")
int ig_walk(struct bpf_iter__bpf_map_elem *ctx)
{
	u32 *key = ctx->key;
	u64 *value = ctx->value;
	struct row row = {};

	if (!key || !value)
		return 0;
	row.pid = *key;
	row.calls = *value;
	bpf_seq_write(ctx->meta->seq, &row, sizeof(row));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
