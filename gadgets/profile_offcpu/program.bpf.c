// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/*
 * Adds up, by the stacks of the kernel and of the process, how long threads waited off the
 * CPU.
 *
 * At a switch the kernel still runs the thread that leaves: its stacks are those of the
 * call in which it waits.  The program keeps them until the thread comes back, because
 * only then is it known for how long it waited.
 */

#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include <gadget/common.h>
#include <gadget/core_fixes.bpf.h>
#include <gadget/filter.h>
#include <gadget/kernel_stack_map.h>
#include <gadget/macros.h>
#include <gadget/maps.bpf.h>
#include <gadget/types.h>
#include <gadget/user_stack_map.h>

#define MAX_ENTRIES 10240
#define EFAULT	    14

struct wait_key {
	struct gadget_process proc;
	__u32 user_stack_id;
	gadget_kernel_stack kern_stack_raw;
};

struct wait_value {
	gadget_duration blocked_raw;
	__u64 waits;
	struct gadget_user_stack user_stack_raw;
};

/* A thread that waits. */
struct waiting {
	struct wait_key key;
	struct gadget_user_stack user_stack;
	__u64 since;
};

const volatile __u64 min_block_us = 1000;
GADGET_PARAM(min_block_us);

const volatile bool kernel_stacks_only = false;
GADGET_PARAM(kernel_stacks_only);

const volatile bool user_stacks_only = false;
GADGET_PARAM(user_stacks_only);

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_ENTRIES);
	__type(key, struct wait_key);
	__type(value, struct wait_value);
} waits SEC(".maps");

GADGET_MAPITER(offcpu, waits);

/* Waits for which there was no room. */
GADGET_LOST_COUNTER(waits);

/* Threads that wait, by their ids: as many as a system has by default. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__type(key, gadget_tid);
	__type(value, struct waiting);
} threads SEC(".maps");

/* Too large for the stack of a program. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct waiting);
} room SEC(".maps");

/* Interrupts are off at a switch, so that the room is free. */
static __always_inline void leave(void *ctx)
{
	__u32 zero = 0;
	struct waiting *w;

	if (gadget_should_discard_data_current())
		return;
	w = bpf_map_lookup_elem(&room, &zero);
	if (!w)
		return;
	__builtin_memset(&w->key, 0, sizeof(w->key));
	gadget_process_populate(&w->key.proc);
	w->key.kern_stack_raw = user_stacks_only ?
					-EFAULT :
					(__u32)gadget_get_kernel_stack(ctx);
	gadget_get_user_stack(ctx, &w->user_stack,
			      collect_ustack && !kernel_stacks_only);
	w->key.user_stack_id = w->user_stack.stack_id;
	w->since = bpf_ktime_get_ns();
	if (bpf_map_update_elem(&threads, &w->key.proc.tid, w, BPF_ANY))
		gadget_count_lost(waits);
}

static __always_inline struct wait_value *entry_of(struct waiting *w)
{
	struct wait_value *value, first;

	value = bpf_map_lookup_elem(&waits, &w->key);
	if (value)
		return value;
	__builtin_memset(&first, 0, sizeof(first));
	first.user_stack_raw = w->user_stack;
	bpf_map_update_elem(&waits, &w->key, &first, BPF_NOEXIST);
	return bpf_map_lookup_elem(&waits, &w->key);
}

static __always_inline void come_back(gadget_tid tid)
{
	struct waiting *w = bpf_map_lookup_elem(&threads, &tid);
	struct wait_value *value;
	__u64 blocked;

	if (!w || !w->since)
		return;
	blocked = bpf_ktime_get_ns() - w->since;
	w->since =
		0; /* the entry may stay: other programs can keep it locked */
	if (blocked / 1000 >= min_block_us) {
		value = entry_of(w);
		if (value) {
			__sync_fetch_and_add(&value->blocked_raw, blocked);
			__sync_fetch_and_add(&value->waits, 1);
		} else {
			gadget_count_lost(waits);
		}
	}
	bpf_map_delete_elem(&threads, &tid);
}

/*
 * A thread that is preempted, or that yields, can go on at once: it waits for the CPU, and
 * for nothing else.  Thread 0 is the idle loop.  A thread that has ended does not come back.
 */
#define TASK_DEAD 0x80

static __always_inline int on_switch(void *ctx, bool preempt, __s64 state,
				     gadget_tid prev, gadget_tid next)
{
	if (next)
		come_back(next);
	if (prev && !preempt && state && !(state & TASK_DEAD))
		leave(ctx);
	return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(ig_offcpu, bool preempt, struct task_struct *prev,
	     struct task_struct *next)
{
	return on_switch(ctx, preempt, get_task_state(prev), prev->pid,
			 next->pid);
}

SEC("raw_tp/sched_switch")
int ig_offcpu_raw(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *prev = (void *)ctx->args[1];
	struct task_struct *next = (void *)ctx->args[2];

	return on_switch(ctx, ctx->args[0], get_task_state(prev),
			 BPF_CORE_READ(prev, pid), BPF_CORE_READ(next, pid));
}

GADGET_PREFER(ig_offcpu, ig_offcpu_raw);

char LICENSE[] SEC("license") = "GPL";
