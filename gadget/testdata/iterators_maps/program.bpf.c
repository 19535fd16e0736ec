// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Iterators over maps, alone and beside another. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/macros.h>

/* Of the process with this id only; 0: all. */
const volatile __u32 only_pid = 0;
GADGET_PARAM(only_pid);

struct entry {
	__u64 key;
	__u64 value;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1000);
	__type(key, __u32);
	__type(value, __u64);
} numbers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1000);
	__type(key, __u64);
	__type(value, __u64);
} table SEC(".maps");

/* What had no room in the table. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} table_lost_samples SEC(".maps");

GADGET_ITER(numbers, entry, on_number);
GADGET_ITER(all, entry, on_number, on_entry, on_sleepable);
GADGET_ITER_TARGET_MAP(on_number, numbers);
GADGET_ITER_TARGET_MAP(on_entry, table);

static __always_inline int write(struct bpf_iter_meta *meta, __u64 key,
				 __u64 value)
{
	struct entry entry = {key, value};

	bpf_seq_write(meta->seq, &entry, sizeof(entry));
	return 0;
}

SEC("iter/bpf_map_elem")
int on_number(struct bpf_iter__bpf_map_elem *ctx)
{
	__u32 *key = ctx->key;
	__u64 *value = ctx->value;

	if (!key || !value)
		return 0;
	return write(ctx->meta, *key, *value);
}

SEC("iter/bpf_map_elem")
int on_entry(struct bpf_iter__bpf_map_elem *ctx)
{
	__u64 *key = ctx->key;
	__u64 *value = ctx->value;

	if (!key || !value)
		return 0;
	return write(ctx->meta, *key, *value);
}

SEC("iter.s/task")
int on_sleepable(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;

	if (!task || task->pid != only_pid)
		return 0;
	return write(ctx->meta, task->pid, task->tgid);
}

char LICENSE[] SEC("license") = "GPL";
