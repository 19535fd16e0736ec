// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Iterators that do what they should not. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/macros.h>

struct entry {
	__u64 key;
	__u64 value;
};

struct large {
	__u8 bytes[40000]; /* the kernel has room for 32768 */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 3);
	__type(key, __u32);
	__type(value, struct large);
} numbers SEC(".maps");

GADGET_ITER(half, entry, good, write_half);
GADGET_ITER(again, entry, ask_again);
GADGET_ITER(large, large, write_large);
GADGET_ITER_TARGET_MAP(good, numbers);
GADGET_ITER_TARGET_MAP(write_half, numbers);
GADGET_ITER_TARGET_MAP(ask_again, numbers);
GADGET_ITER_TARGET_MAP(write_large, numbers);

static __always_inline int write(struct bpf_iter__bpf_map_elem *ctx, __u32 size)
{
	struct large *value = ctx->value;

	if (!value)
		return 0;
	bpf_seq_write(ctx->meta->seq, value, size);
	return 0;
}

SEC("iter/bpf_map_elem")
int good(struct bpf_iter__bpf_map_elem *ctx)
{
	return write(ctx, sizeof(struct entry));
}

SEC("iter/bpf_map_elem")
int write_half(struct bpf_iter__bpf_map_elem *ctx)
{
	return write(ctx, sizeof(struct entry) / 2);
}

SEC("iter/bpf_map_elem")
int write_large(struct bpf_iter__bpf_map_elem *ctx)
{
	return write(ctx, sizeof(struct large));
}

/*
 * The kernel takes 1 for "call me once more for this one".  The call is for gizmo,
 * which does not run programs that do nothing.
 */
SEC("iter/bpf_map_elem")
int ask_again(struct bpf_iter__bpf_map_elem *ctx)
{
	return ctx->value && bpf_ktime_get_ns() > 0;
}

char LICENSE[] SEC("license") = "GPL";
