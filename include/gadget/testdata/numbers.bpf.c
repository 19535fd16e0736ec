// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* bits.bpf.h and fnv1a.h: a result for args[0] (and args[1]) each. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/bits.bpf.h>
#include <gadget/fnv1a.h>

__u64 result;

SEC("raw_tp/log2")
int run_log2(struct bpf_raw_tracepoint_args *ctx)
{
	result = log2(ctx->args[0]);
	return 0;
}

SEC("raw_tp/log2l")
int run_log2l(struct bpf_raw_tracepoint_args *ctx)
{
	result = log2l(ctx->args[0]);
	return 0;
}

/* args[0] as each of the sizes, then args[1]. */
SEC("raw_tp/fnv_32a")
int run_fnv_32a(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 hash = fnv_32a_init();

	fnv_32a_update_u8(&hash, ctx->args[0]);
	fnv_32a_update_u16(&hash, ctx->args[0]);
	fnv_32a_update_u32(&hash, ctx->args[0]);
	fnv_32a_update_u64(&hash, ctx->args[0]);
	fnv_32a_update_u64(&hash, ctx->args[1]);
	result = hash;
	return 0;
}

SEC("raw_tp/fnv_64a")
int run_fnv_64a(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 hash = fnv_64a_init();

	fnv_64a_update_u8(&hash, ctx->args[0]);
	fnv_64a_update_u16(&hash, ctx->args[0]);
	fnv_64a_update_u32(&hash, ctx->args[0]);
	fnv_64a_update_u64(&hash, ctx->args[0]);
	fnv_64a_update_u64(&hash, ctx->args[1]);
	result = hash;
	return 0;
}

SEC("raw_tp/slot_idx")
int run_slot_idx(struct bpf_raw_tracepoint_args *ctx)
{
	result = get_slot_idx(ctx->args[0]);
	return 0;
}

/* Results are good for an index of themselves, and after a check of any form. */
__u64 slots[65];

SEC("raw_tp/unchecked")
int unchecked(struct bpf_raw_tracepoint_args *ctx)
{
	__sync_fetch_and_add(&slots[log2(ctx->args[0])], 1);
	__sync_fetch_and_add(&slots[log2l(ctx->args[0])], 1);
	__sync_fetch_and_add(&slots[get_slot_idx(ctx->args[0])], 1);
	return 0;
}

__u32 few[27];

SEC("raw_tp/clamped")
int clamped(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 slot = get_slot_idx(ctx->args[0]);

	if (slot >= 26)
		slot = 26;
	__sync_fetch_and_add(&few[slot], 1);
	slot = log2l(ctx->args[0]);
	if (slot > 26)
		return 0;
	few[slot]++;
	slot = log2(ctx->args[0]);
	few[slot < 27 ? slot : 0]++;
	return 0;
}

SEC("raw_tp/slot")
int slot(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 slot = log2l(ctx->args[0]);

	if (slot >= 64)
		return 1;
	__sync_fetch_and_add(&slots[slot], 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
