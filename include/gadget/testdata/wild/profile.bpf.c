// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Stacks by the headers' own param, from each type of program that has them, and
 * counts of them in a map that is read as an array.
 */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include <gadget/bits.bpf.h>
#include <gadget/common.h>
#include <gadget/filter.h>
#include <gadget/kernel_stack_map.h>
#include <gadget/macros.h>
#include <gadget/maps.bpf.h>
#include <gadget/types.h>
#include <gadget/user_stack_map.h>

#define MAX_SLOTS 27

struct sample_key {
	struct gadget_process proc;
	gadget_kernel_stack kstack_raw;
	__u32 padding;
	struct gadget_user_stack ustack;
};

struct sample_value {
	gadget_counter__u64 samples;
	gadget_gauge__u32 last;
	gadget_histogram_slot__u32 latency[MAX_SLOTS];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 10240);
	__type(key, struct sample_key);
	__type(value, struct sample_value);
} samples SEC(".maps");

GADGET_MAPITER(samples, samples);

const struct sample_value zero_value = {};

static __always_inline int count(void *ctx, struct sample_key *key,
				 __u64 latency)
{
	struct sample_value *value;
	__u64 slot = log2l(latency) + log2(1);

	gadget_process_populate(&key->proc);
	key->kstack_raw = gadget_get_kernel_stack(ctx);
	key->padding = 0;
	value = bpf_map_lookup_or_try_init(&samples, key, &zero_value);
	if (!value)
		return 0;
	if (slot >= MAX_SLOTS)
		slot = MAX_SLOTS - 1;
	__sync_fetch_and_add(&value->samples, 1);
	__sync_fetch_and_add(&value->latency[slot], 1);
	value->last = latency;
	return 0;
}

SEC("perf_event/cpu")
int ig_prof_cpu(struct bpf_perf_event_data *ctx)
{
	struct sample_key key = {};

	if (gadget_should_discard_data_current())
		return 0;
	gadget_get_user_stack_from_perf_event(ctx, &key.ustack);
	return count(ctx, &key, ctx->sample_period);
}

SEC("kprobe/schedule")
int BPF_KPROBE(ig_prof_sched)
{
	struct sample_key key = {};

	gadget_get_user_stack(ctx, &key.ustack);
	return count(ctx, &key, 1);
}

SEC("uprobe/libc:malloc")
int BPF_KPROBE(ig_prof_malloc, size_t size)
{
	struct sample_key key = {};

	gadget_get_user_stack_from_kprobe(ctx, &key.ustack);
	return count(ctx, &key, size);
}

SEC("tracepoint/sched/sched_switch")
int ig_prof_switch(struct trace_event_raw_sched_switch *ctx)
{
	struct sample_key key = {};

	gadget_get_user_stack_from_tracepoint(ctx, &key.ustack);
	return count(ctx, &key, ctx->prev_prio);
}

char LICENSE[] SEC("license") = "GPL";
