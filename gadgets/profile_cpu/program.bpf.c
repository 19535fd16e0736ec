// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/*
 * Counts, by the stacks of the kernel and of the process, how often threads were running on
 * a CPU when its timer fired.
 *
 * A row of the map is one thread's way to one place.  Stacks are notes in a table of
 * gizmo's; the key has their ids.
 */

#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include <gadget/common.h>
#include <gadget/filter.h>
#include <gadget/kernel_stack_map.h>
#include <gadget/macros.h>
#include <gadget/maps.bpf.h>
#include <gadget/types.h>
#include <gadget/user_stack_map.h>

#define MAX_ENTRIES 10240
#define EFAULT	    14

struct sample_key {
	struct gadget_process proc;
	__u64 kernel_ip; /* 0 if the thread was in user mode */
	__u32 user_stack_id;
	gadget_kernel_stack kern_stack_raw;
};

struct sample_value {
	__u64 samples;
	struct gadget_user_stack user_stack_raw;
};

const volatile bool kernel_stacks_only = false;
GADGET_PARAM(kernel_stacks_only);

const volatile bool user_stacks_only = false;
GADGET_PARAM(user_stacks_only);

const volatile bool include_idle = false;
GADGET_PARAM(include_idle);

/* For user space, which sets the timers. */
const volatile __u32 frequency = 49;
GADGET_PARAM(frequency);

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_ENTRIES);
	__type(key, struct sample_key);
	__type(value, struct sample_value);
} counts SEC(".maps");

GADGET_MAPITER(samples, counts);

/* Samples for which there was no room. */
GADGET_LOST_COUNTER(counts);

/* The CPU's idle loop: thread 0 of each CPU. */
static __always_inline bool is_idle(void)
{
	return (__u32)bpf_get_current_pid_tgid() == 0;
}

/* Addresses of the kernel are those with the highest bit. */
static __always_inline __u64 kernel_ip(struct bpf_perf_event_data *ctx)
{
	__u64 ip = PT_REGS_IP(&ctx->regs);

	return (__s64)ip < 0 ? ip : 0;
}

SEC("perf_event/profiler")
int ig_prof_cpu(struct bpf_perf_event_data *ctx)
{
	struct sample_value first, *value;
	struct sample_key key;

	if (!include_idle && is_idle())
		return 0;
	if (gadget_should_discard_data_current())
		return 0;

	__builtin_memset(&key, 0, sizeof(key));
	gadget_process_populate(&key.proc);
	key.kernel_ip = user_stacks_only ? 0 : kernel_ip(ctx);
	key.kern_stack_raw = user_stacks_only ?
				     -EFAULT :
				     (__u32)gadget_get_kernel_stack(ctx);
	gadget_get_user_stack(ctx, &first.user_stack_raw,
			      collect_ustack && !kernel_stacks_only);
	key.user_stack_id = first.user_stack_raw.stack_id;

	value = bpf_map_lookup_elem(&counts, &key);
	if (!value) {
		first.samples = 0;
		bpf_map_update_elem(&counts, &key, &first, BPF_NOEXIST);
		value = bpf_map_lookup_elem(&counts, &key);
	}
	if (value)
		__sync_fetch_and_add(&value->samples, 1);
	else
		gadget_count_lost(counts);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
